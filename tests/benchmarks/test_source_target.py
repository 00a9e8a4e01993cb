"""Where source and target come from."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mtlzoo.benchmarks import _source_target
from mtlzoo.datasets import _garments
from mtlzoo.errors import DataError


def store(folder, name, classes, rows):
    """Write random pictures as TFDS stores CIFAR."""
    random = np.random.default_rng(0)

    def split(count):
        for index in range(count):
            image = random.integers(0, 256, (32, 32, 3), "uint8")
            yield index, {"image": image, "label": index % classes}

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(32, 32, 3)),
            "label": tfds.features.ClassLabel(num_classes=classes),
        }
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        name,
        version="1.0.0",
        features=features,
        split_datasets={"train": list(split(rows)), "test": list(split(rows // 2))},
        data_dir=folder,
    )


@pytest.mark.filterwarnings("ignore")  # of TFDS's own, while it writes
def test_takes_cifar_where_tfds_has_both(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    store(tmp_path, "cifar10", 10, rows=20)
    monkeypatch.setattr(_garments, "DEBIAN", tmp_path / "debian")
    monkeypatch.delenv(_garments.ENVIRONMENT, raising=False)
    with pytest.raises(DataError, match="Fashion-MNIST is not on this machine"):
        _source_target.pair()
    store(tmp_path, "cifar100", 100, rows=200)
    title, source, target = _source_target.pair()
    assert title == "CIFAR-10 to CIFAR-100"
    assert (source.sizes["train"], target.sizes["train"]) == (20, 200)
    assert [task.num_classes for task in (*source.tasks, *target.tasks)] == [10, 100]
    x, y = target.arrays("test")
    assert x["image"].shape == (100, 32, 32, 3)
    assert set(y) == {"target_class"}


def test_else_halves_of_the_garments():
    if not _garments.DEBIAN.is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    _, source, target = _source_target.pair()
    for half in (source, target):
        _, y = half.arrays("test")
        (labels,) = y.values()
        np.testing.assert_array_equal(np.bincount(labels), [1000] * 5)
