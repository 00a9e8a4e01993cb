import sys

import numpy as np
import pytest

from mtlzoo.datasets import _actg175, load
from mtlzoo.errors import DataError, MissingExtraError
from mtlzoo.features import Categorical, Numeric


def test_rows_and_labels(loaded):
    dataset = loaded("actg175")
    assert dataset.sizes == {"train": 1_497, "validation": 214, "test": 428}
    labels = {
        name: np.concatenate(
            [dataset.arrays(split)[1][name] for split in dataset.sizes]
        )
        for name in ("cd420", "cd820", "cens")
    }
    assert labels["cens"].sum() == 521
    assert labels["cd420"].mean() == pytest.approx(371.307, abs=1e-2)
    assert labels["cd820"].mean() == pytest.approx(935.370, abs=1e-2)


def test_nothing_later_than_the_baseline_is_an_input(loaded):
    inputs = loaded("actg175").inputs
    later = {"cd420", "cd496", "r", "cd820", "cens", "days", "offtrt"}
    assert not {*later, "pidnum", "zprior", "treat", ""} & set(inputs)
    assert len(inputs) == 17
    assert isinstance(inputs["arms"], Categorical)
    assert all(
        isinstance(feature, Numeric)
        for name, feature in inputs.items()
        if name != "arms"
    )


def test_treatments_have_their_names(loaded):
    x, _ = loaded("actg175").arrays("train")
    table = _actg175.read_table()
    # zidovudine alone is the arm that the table's `treat` leaves out.
    alone = sum(row["treat"] == "0" for row in table)
    assert alone == sum(row["arms"] == "0" for row in table) == 532
    assert set(x["arms"]) == set(_actg175.ARMS)


def test_lifelines_is_not_imported(loaded):
    loaded("actg175")
    assert "lifelines" not in sys.modules


def test_without_lifelines(monkeypatch):
    monkeypatch.setitem(sys.modules, "lifelines", None)
    with pytest.raises(MissingExtraError, match=r'pip install "mtlzoo\[data\]"'):
        load("actg175")


@pytest.mark.parametrize(
    ("content", "received"), [(b"age\n1\n", "[0-9a-f]{64}"), (None, "no file")]
)
def test_another_table_than_expected(monkeypatch, tmp_path, content, received):
    folder = tmp_path / "lifelines" / "datasets"
    folder.mkdir(parents=True)
    (tmp_path / "lifelines" / "__init__.py").touch()
    if content:
        (folder / "ACTG175.csv").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        DataError, match=rf"of lifelines 0\.30, .* Received: {received}\. "
    ):
        load("actg175")
