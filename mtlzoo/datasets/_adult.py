import csv
import hashlib
import importlib.resources
import io
import json
import lzma
from typing import Any

import numpy as np

from mtlzoo._registry import DATASETS
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._frame import from_frame
from mtlzoo.errors import DataError
from mtlzoo.tasks import Binary

NUMBERS = (
    "age",
    "fnlwgt",
    "education_num",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
)


@DATASETS.register(
    "adult",
    kind="tabular",
    rows=48_842,
    licence="CC BY 4.0",
    source="https://archive.ics.uci.edu/dataset/2/adult",
    needs="nothing: it comes with mtlzoo",
)
def adult() -> Dataset:
    """UCI Adult: income and marital status of 48,842 people of the 1994 US census.

    Tasks, as in the paper on MMoE (Ma et al., KDD 2018):

    - `income`, binary: more than 50,000 dollars a year (23.9 % of rows);
    - `never_married`, binary: marital status "Never-married" (33.0 % of rows).

    The other 13 columns are the inputs: 6 numbers and 7 strings. A `"?"` is a value
    like any other, and no row is dropped. As in that paper, only the two label columns
    are left out: `relationship` stays, although a `Husband` or `Wife` has married, so
    `never_married` is easier than it looks. `fnlwgt` is the census's sampling weight.

    The split is random and fixed: 70 % training (34,189 rows), 10 % validation (4,885)
    and 20 % test (9,768). It is not that of the UCI files.

    Raises:
        DataError: the installed file is damaged.

    Reference: Barry Becker and Ronny Kohavi, *Adult*, UCI Machine Learning Repository,
    1996, <https://doi.org/10.24432/C5XW20>, CC BY 4.0. Columns were renamed and the
    file converted; `mtlzoo/datasets/data/adult.json` records from what and how.
    """
    columns = read_columns()
    columns["income"] = columns["income"] == ">50K"
    columns["never_married"] = columns["marital_status"] == "Never-married"
    return from_frame(
        columns,
        tasks=[Binary("income"), Binary("never_married")],
        label_columns={"never_married": "marital_status"},
        bins=16,
        split=(0.7, 0.1, 0.2),
        name="adult",
    )


def read_columns(folder: Any = None) -> dict[str, Any]:
    """Return the table's columns, as it came: float32 numbers and strings.

    Args:
        folder: with `adult.csv.xz` and `adult.json`; the package's own by default.

    Raises:
        DataError: the file is not the one that its record describes.
    """
    folder = folder or importlib.resources.files("mtlzoo.datasets") / "data"
    packed = (folder / "adult.csv.xz").read_bytes()
    expected = json.loads((folder / "adult.json").read_text("utf-8"))["sha256"]
    found = hashlib.sha256(packed).hexdigest()
    if found != expected:
        raise DataError(
            f"adult.csv.xz is damaged: expected sha256 {expected}. Received: {found}. "
            "Install mtlzoo again."
        )
    header, *rows = csv.reader(io.StringIO(lzma.decompress(packed).decode()))
    return {
        name: np.array(values, "float32" if name in NUMBERS else "str")
        for name, values in zip(header, zip(*rows, strict=True), strict=True)
    }
