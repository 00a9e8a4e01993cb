import csv
import io
from typing import Any

import numpy as np

from mtlzoo._registry import DATASETS
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._frame import from_frame
from mtlzoo.datasets._packaged import read_packaged
from mtlzoo.tasks import Binary, Regression, Task

SHA256 = "56fba31fa0d7bfbff9667b7149fd96a97c352e72aa582871a62a935e812f0e07"
BASELINE = [
    "age",
    "wtkg",
    "hemo",
    "homo",
    "drugs",
    "karnof",
    "oprior",
    "z30",
    "preanti",
    "race",
    "gender",
    "str2",
    "strat",
    "symptom",
    "arms",
    "cd40",
    "cd80",
]
ARMS = np.array(
    [
        "zidovudine",
        "zidovudine and didanosine",
        "zidovudine and zalcitabine",
        "didanosine",
    ]
)


@DATASETS.register(
    "actg175",
    kind="tabular",
    rows=2139,
    licence="MIT (as part of lifelines)",
    source="https://doi.org/10.1056/NEJM199610103351501",
    needs='pip install "mtlzoo[data]"',
)
def actg175() -> Dataset:
    """ACTG 175: a randomised trial of HIV treatments on 2,139 adults.

    Tasks:

    - `cd420`, regression: CD4 cells per cubic millimetre at 20 weeks;
    - `cd820`, regression: CD8 cells per cubic millimetre at 20 weeks;
    - `cens`, binary: 1 where the event was observed (CD4 down by half, AIDS or death;
      24.4 % of rows), 0 where the follow-up was censored.

    The inputs are the 17 columns that were known when the treatment began; the arm of
    the trial is a string, the rest are numbers. Left out are what came later and tells
    of the labels (`cd496` and `r`, whether it was measured; `offtrt`; `days`), what
    tells nothing (`pidnum`, the row number, `zprior`, which is always 1) and `treat`,
    which is `arms` in two groups.

    The split is random and fixed: 70 % training (1,497 rows), 10 % validation (214)
    and 20 % test (428).

    Raises:
        MissingExtraError: the package lifelines, which carries the table, is absent.
        DataError: lifelines carries another table than expected.

    Reference: Scott M. Hammer et al., *A Trial Comparing Nucleoside Monotherapy with
    Combination Therapy in HIV-Infected Adults with CD4 Cell Counts from 200 to 500 per
    Cubic Millimeter*, New England Journal of Medicine 335, 1996,
    <https://doi.org/10.1056/NEJM199610103351501>.
    """
    table = read_table()
    columns: dict[str, Any] = {
        name: np.array([row[name] for row in table], "float64")
        for name in [*BASELINE, "cd420", "cd820", "cens"]
    }
    columns["arms"] = ARMS[columns["arms"].astype("int64")]
    columns["cens"] = columns["cens"].astype("int64")

    def tasks(train: dict[str, Any]) -> list[Task]:
        return [
            Regression.from_values("cd420", train["cd420"]),
            Regression.from_values("cd820", train["cd820"]),
            Binary("cens"),
        ]

    return from_frame(
        columns, tasks=tasks, inputs=BASELINE, split=(0.7, 0.1, 0.2), name="actg175"
    )


def read_table() -> list[dict[str, str]]:
    """Return the rows of the CSV file that lifelines carries, without importing it."""
    content = read_packaged(
        "actg175", "lifelines", "lifelines 0.30", "datasets/ACTG175.csv", SHA256
    )
    return list(csv.DictReader(io.StringIO(content.decode())))
