"""The published base: that it names photos, and is the network it was made from."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

import mtlzoo
from mtlzoo import _bundles, tasks, trunks
from mtlzoo.hub import _convert_efficientnet_lite0 as convert

NAME = "efficientnet_lite0.imagenet"
DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def model():
    return mtlzoo.load(NAME)


@pytest.fixture(scope="module")
def photos():
    from PIL import Image
    from sklearn.datasets import load_sample_image

    return np.stack(
        [
            convert.prepare(Image.fromarray(load_sample_image(name)))
            for name in ("china.jpg", "flower.jpg")
        ]
    )


def test_is_sound_and_small():
    bundle = _bundles.find(NAME)
    bundle.verify()
    assert bundle.info.size < 10_000_000
    assert bundle.info.license == "Apache-2.0"


def test_names_photos(model, photos):
    (task,) = model.tasks
    found = model.predict({"image": photos}, verbose=0)["label"]
    china, flower = (
        [task.class_names[index] for index in np.argsort(-row)[:4]] for row in found
    )
    assert china[0] == "palace"
    assert {"monastery", "bell tower"} <= set(china)
    assert flower[0] == "daisy"


def test_answers_as_the_source_framework(model):
    """The stored answers are PyTorch's, to the golden photo, with the exact weights.

    They were computed by `efficientnet-lite-pytorch` 0.1.0 on PyTorch 2.13.0. What is
    left is the rounding of the stored weights to half precision.
    """
    inputs, outputs = _bundles.find(NAME).golden()
    expected = np.load(DATA / "efficientnet_lite0_pytorch.npz")["label"]
    np.testing.assert_allclose(outputs["label"], expected, atol=4e-3)
    found = model.predict(inputs, verbose=0)["label"]
    np.testing.assert_allclose(found, outputs["label"], atol=1e-5)


def test_recognises_labelled_pictures(model):
    spec = importlib.util.find_spec("foolbox")
    if spec is None or not spec.origin:
        pytest.skip("the labelled pictures come with: pip install --no-deps foolbox")
    from PIL import Image

    paths = sorted((Path(spec.origin).parent / "data").glob("imagenet_*"))
    pixels = np.stack([convert.prepare(Image.open(path)) for path in paths])
    labels = [int(path.stem.rpartition("_")[2]) for path in paths]
    found = model.predict({"image": pixels}, verbose=0)["label"]
    assert (found.argmax(1) == labels).sum() >= 18


def test_is_a_base_for_pictures_of_any_size(model, photos):
    def build(size, **options):
        return mtlzoo.build(
            "shared_bottom",
            inputs={"photo": mtlzoo.Image((size, size, 3))},
            tasks=[tasks.Binary("outdoors"), tasks.Count("people")],
            trunk=trunks.Pretrained(NAME, "stage:block_7", **options),
        )

    made = build(224)
    expected = model.representations({"image": photos}, verbose=0)["label"]
    found = made.representations({"photo": photos}, verbose=0)["outdoors"]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    trained = {
        variable.path.split(".")[1]
        for variable in made.trainable_variables
        if variable.path.startswith("trunk.")
    }
    assert trained == {"block_7", "top"}
    smaller = build(96)
    assert smaller.get_layer("trunk.top.relu").output.shape == (None, 3, 3, 1280)


def test_stages_serve_architectures_that_mix(photos):
    """Two columns that start from the same weights."""
    made = mtlzoo.build(
        "cross_stitch",
        inputs={"photo": mtlzoo.Image((32, 32, 3))},
        tasks=[tasks.Binary("a"), tasks.Binary("b")],
        trunk=trunks.Pretrained(NAME, False),
    )
    kernels = [
        keras.ops.convert_to_numpy(made.get_layer(f"trunk.{task}.stem.conv").kernel)
        for task in "ab"
    ]
    np.testing.assert_array_equal(*kernels)
    assert made.get_layer("sharing.stitch_9.a")
