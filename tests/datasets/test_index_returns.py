import sys

import numpy as np
import pytest

from mtlzoo.datasets import _index_returns, load
from mtlzoo.datasets._index_returns import GAP, PAST, make_rows, split_by_time
from mtlzoo.errors import DataError, MissingExtraError

DAYS = 60


@pytest.fixture
def prices():
    """Return made-up prices of both indices."""
    random = np.random.default_rng(0)
    tables = {}
    for index in ("sp500", "nasdaq"):
        close = 1_000 * np.exp(np.cumsum(random.normal(0, 0.01, DAYS)))
        spread = np.exp(random.uniform(0.002, 0.02, DAYS))
        tables[index] = {
            "High": close * spread,
            "Low": close / spread,
            "Close": close,
            "Volume": random.uniform(1e8, 2e8, DAYS),
        }
    return tables


def test_rows_and_labels(loaded):
    dataset = loaded("index_returns")
    assert dataset.sizes == {"train": 2_996, "validation": 731, "test": 1_235}
    assert len(dataset.inputs) == 13
    _, y = dataset.arrays("test")
    assert y["next_up"].mean() == pytest.approx(0.534, abs=1e-3)
    np.testing.assert_array_equal(y["next_up"], y["next_return"] > 0)
    # The worst day of 2014 to 2018: 5 February 2018, from 2762.13 to 2648.94.
    assert y["next_return"].min() == pytest.approx(
        100 * np.log(2648.94 / 2762.13), 1e-3
    )


def test_a_row_by_hand(prices):
    x, y = make_rows(prices)
    day = PAST + 10  # the last day that row 10 knows
    close = np.log(prices["nasdaq"]["Close"])
    assert x["nasdaq_return_5"][10] == 100 * (close[day] - close[day - 5])
    high, low, close = (prices["sp500"][name] for name in ("High", "Low", "Close"))
    volatility = np.log(100 * np.log(high / low) / np.sqrt(4 * np.log(2)))
    week = volatility[day - 4 : day + 1].mean()
    assert x["sp500_volatility_5"][10] == pytest.approx(week)
    assert x["sp500_volatility_1"][10] == volatility[day]
    volume = prices["sp500"]["Volume"]
    ratio = volume[day] / volume[day - 21 : day + 1].mean()
    assert x["sp500_volume"][10] == pytest.approx(np.log(ratio))
    change = np.log(close[day + 1] / close[day])
    assert y["next_return"][10] == pytest.approx(100 * change)
    assert y["next_volatility"][10] == volatility[day + 1]
    assert {len(column) for column in [*x.values(), *y.values()]} == {DAYS - PAST - 1}


@pytest.mark.parametrize("changed", [PAST + 1, 40, DAYS - 1])
def test_no_input_sees_the_day_it_predicts_or_a_later_one(prices, changed):
    """A day's prices move the labels of one or two rows, and inputs after it alone."""
    x, y = make_rows(prices)
    for table in prices.values():
        for column in table.values():
            column[changed] *= 1.5
        table["High"][changed] *= 1.01
    moved_x, moved_y = make_rows(prices)
    predicts = changed - PAST - 1  # the row that predicts the changed day
    for name, column in x.items():
        rows = np.flatnonzero(column != moved_x[name])
        assert rows.min(initial=DAYS) > predicts, name
        assert rows.max(initial=0) <= predicts + GAP, name
    for name, column in y.items():
        rows = np.flatnonzero(column != moved_y[name])
        assert set(rows) <= {predicts, predicts + 1}, name
    assert moved_y["next_volatility"][predicts] != y["next_volatility"][predicts]


def test_a_later_split_reads_no_day_that_an_earlier_one_predicts():
    days = np.arange("1999-01-01", "2019-01-01", 1, dtype="<M8[D]")
    rows = split_by_time(days)
    for earlier, later in (("train", "validation"), ("validation", "test")):
        last_predicted = rows[earlier][-1] + PAST + 1
        first_read = rows[later][0]
        assert first_read == last_predicted + 1
    assert rows["test"][-1] + PAST + 1 == len(days) - 1
    first_days = {split: days[found[0] + PAST + 1] for split, found in rows.items()}
    assert first_days["validation"] == np.datetime64("2011-01-24")


def test_both_tables_have_the_same_days(loaded):
    loaded("index_returns")
    dates = [
        [row["Date"] for row in _index_returns._read(index)]
        for index in _index_returns.SHA256
    ]
    assert dates[0] == dates[1]
    days, _ = _index_returns.read_prices()
    assert (np.diff(days) > np.timedelta64(0)).all()
    assert str(days[0]) == "1999-01-04"
    assert str(days[-1]) == "2018-12-31"


def test_volatility_can_be_predicted_and_returns_can_not(loaded):
    """What the docstring says, by least squares."""
    dataset = loaded("index_returns")
    tables = [dataset.arrays(split) for split in ("train", "test")]
    matrices = [
        np.stack([np.ones(len(y["next_up"])), *x.values()], axis=1, dtype="float64")
        for x, y in tables
    ]
    scores = {}
    for task in ("next_return", "next_volatility"):
        train, test = (y[task].astype("float64") for _, y in tables)
        weights = np.linalg.lstsq(matrices[0], train, rcond=None)[0]
        errors = test - matrices[1] @ weights
        scores[task] = 1 - (errors**2).mean() / test.var()
    assert scores["next_volatility"] > 0.4
    assert abs(scores["next_return"]) < 0.05


def test_arch_is_not_imported(loaded):
    loaded("index_returns")
    assert "arch" not in sys.modules


def test_without_arch(monkeypatch):
    monkeypatch.setitem(sys.modules, "arch", None)
    with pytest.raises(MissingExtraError, match=r"package arch.*\"mtlzoo\[data\]\""):
        load("index_returns")


def test_another_table_than_expected(monkeypatch, tmp_path):
    (tmp_path / "arch").mkdir()
    (tmp_path / "arch" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=r"of arch 8\.0, .* Received: no file\. "):
        load("index_returns")
