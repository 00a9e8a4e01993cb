import csv
import gzip
import io
from typing import Any

import numpy as np

from mtlzoo._registry import DATASETS
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._packaged import read_packaged
from mtlzoo.features import infer
from mtlzoo.tasks import Binary, Regression

SHA256 = {
    "sp500": "1e028cbb9c400cc018c816ccc439b33c919387e726c3ed5ca2c05c82746059de",
    "nasdaq": "b2009535343ebb14e0aa11ed086788d2997a416ffe4f9450eed9a561ae30ac59",
}
HORIZONS = (1, 5, 22)
"""A day, a week and a month of trading."""
PAST = max(HORIZONS)
"""How many days a row looks back from the last one that it knows."""
GAP = PAST + 1
"""Rows left out between two splits."""
FIRST_DAYS = {"validation": "2011-01-01", "test": "2014-01-01"}


@DATASETS.register(
    "index_returns",
    kind="time series",
    rows=4_962,
    licence="NCSA (as part of arch)",
    source="https://github.com/bashtage/arch",
    needs='pip install "mtlzoo[data]"',
)
def index_returns() -> Dataset:
    """Daily S&P 500, 1999 to 2018: the next day's return, volatility and direction.

    Tasks, all about the S&P 500 on the next trading day:

    - `next_return`, regression: its log return from close to close, in percent;
    - `next_volatility`, regression: the natural logarithm of its volatility in percent,
      measured by Parkinson's range, `ln(high / low) / sqrt(4 ln 2)`: a proxy of the
      day's realised volatility that needs no intraday prices;
    - `next_up`, binary: whether it closes higher (53 % of days).

    The last is a function of the first; both are known to be close to unpredictable,
    while volatility clusters. The data set is there to show both.

    The inputs are 13 numbers that are known when the day before has closed. For the S&P
    500 and the NASDAQ Composite, `<index>_return_<days>`, the return over the last 1, 5
    and 22 trading days in percent, and `<index>_volatility_<days>`, the mean of the
    logarithm of daily volatility over as many (as in the heterogeneous autoregressive
    model of Corsi, 2009). For the S&P 500, `sp500_volume`, the logarithm of the last
    day's volume over the mean of the last 22; the NASDAQ's is 0 on one day.

    The split is by time: training is 1999 to 2010, validation 2011 to 2013 and test
    2014 to 2018. Between two splits, 23 rows are left out, so that no day whose prices
    a row of a later split reads is a day that a row of an earlier one predicts. Opening
    prices are not used: for years of this table they repeat the last close.

    Raises:
        MissingExtraError: the package arch, which carries the tables, is absent.
        DataError: arch carries other tables than expected.

    Reference: Kevin Sheppard, *arch*, <https://github.com/bashtage/arch>, whose example
    data this is. Michael Parkinson, *The Extreme Value Method for Estimating the
    Variance of the Rate of Return*, Journal of Business 53, 1980. Fulvio Corsi, *A
    Simple Approximate Long-Memory Model of Realized Volatility*, Journal of Financial
    Econometrics 7, 2009, <https://doi.org/10.1093/jjfinec/nbp001>.
    """
    days, prices = read_prices()
    x, y = make_rows(prices)
    splits = {
        split: ({k: v[rows] for k, v in x.items()}, {k: v[rows] for k, v in y.items()})
        for split, rows in split_by_time(days).items()
    }
    inputs, labels = splits["train"]
    return Dataset(
        "index_returns",
        splits,
        inputs=infer(inputs),
        tasks=[
            Regression.from_values("next_return", labels["next_return"]),
            Regression.from_values("next_volatility", labels["next_volatility"]),
            Binary("next_up"),
        ],
    )


def make_rows(prices: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return inputs and labels; row `i` reads days `i` to `i + 22`, predicts `i + 23`.

    Args:
        prices: by index, arrays by `High`, `Low`, `Close` and `Volume`, one entry a
            day.
    """
    x: dict[str, Any] = {}
    for index, table in prices.items():
        close, volatility = np.log(table["Close"]), log_volatility(table)
        for horizon in HORIZONS:
            change = 100 * (close[PAST:] - close[PAST - horizon : -horizon])
            x[f"{index}_return_{horizon}"] = change[:-1]
        for horizon in HORIZONS:
            x[f"{index}_volatility_{horizon}"] = _past_mean(volatility, horizon)
    volume = prices["sp500"]["Volume"]
    x["sp500_volume"] = np.log(volume[PAST:-1] / _past_mean(volume, PAST))
    close = 100 * np.log(prices["sp500"]["Close"])
    next_return = np.diff(close)[PAST:]
    return x, {
        "next_return": next_return,
        "next_volatility": log_volatility(prices["sp500"])[PAST + 1 :],
        "next_up": next_return > 0,
    }


def log_volatility(table: dict[str, Any]) -> Any:
    """Return the logarithm of each day's volatility in percent (Parkinson's range)."""
    spread = np.log(table["High"] / table["Low"])
    return np.log(100 * spread / np.sqrt(4 * np.log(2)))


def split_by_time(days: Any) -> dict[str, Any]:
    """Return the row numbers of each split, `GAP` rows apart.

    Args:
        days: of the tables, ascending. Row `i` predicts day `i + PAST + 1`.
    """
    predicted = days[PAST + 1 :]
    cuts = [
        int(np.searchsorted(predicted, np.datetime64(day)))
        for day in FIRST_DAYS.values()
    ]
    return {
        "train": np.arange(0, cuts[0]),
        "validation": np.arange(cuts[0] + GAP, cuts[1]),
        "test": np.arange(cuts[1] + GAP, len(predicted)),
    }


def read_prices() -> tuple[Any, dict[str, dict[str, Any]]]:
    """Return the days, and the columns of both indices by name, in the same order."""
    tables = {index: _read(index) for index in SHA256}
    days = [row["Date"] for row in tables["sp500"]]
    month_day_year = [[int(part) for part in day.split("/")] for day in days]
    return (
        np.array([f"{y:04}-{m:02}-{d:02}" for m, d, y in month_day_year], "<M8[D]"),
        {
            index: {
                name: np.array([row[name] for row in rows], "float64")
                for name in ("High", "Low", "Close", "Volume")
            }
            for index, rows in tables.items()
        },
    )


def _read(index: str) -> list[dict[str, str]]:
    packed = read_packaged(
        "index_returns",
        "arch",
        "arch 8.0",
        f"data/{index}/{index}.csv.gz",
        SHA256[index],
    )
    return list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode())))


def _past_mean(values: Any, horizon: int) -> Any:
    """Return the mean of the last `horizon` days, for each row."""
    windows = np.lib.stride_tricks.sliding_window_view(values, horizon)
    return windows[PAST - horizon + 1 : -1].mean(axis=-1)
