import inspect
from typing import Any

from mtlzoo._registry import DATASETS, unknown_name
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.errors import OptionError


def load(
    name: str, *, batch_size: int = 256, shuffle_seed: int = 0, **options: Any
) -> Dataset:
    """Return the data set registered as `name`.

    Args:
        name: one of `mtlzoo.list_datasets()`.
        batch_size: rows a batch, in all three splits.
        shuffle_seed: of the order of the training rows, which changes each epoch. It
            moves no row to another split.
        **options: of that data set, such as `correlation` of `"synthetic"`.

    Raises:
        UnknownNameError: no data set has that name.
        OptionError: the data set has no such option.
        DataError: the data is not on this machine; the message says how to get it.
        MissingExtraError: the data comes in a package that is not installed.

    Example:

    ```python
    adult = mtlzoo.datasets.load("adult", batch_size=512)
    ```
    """
    definition = DATASETS.get(name)
    known = [*inspect.signature(definition).parameters, "batch_size", "shuffle_seed"]
    for option in options:
        if option not in known:
            raise OptionError(
                unknown_name(f"option of data set {name!r}", option, known)
            )
    dataset: Dataset = definition(**options)
    return dataset.batched(batch_size, shuffle_seed=shuffle_seed)
