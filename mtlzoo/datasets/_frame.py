from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mtlzoo._columns import columns_of, is_category, plain_array
from mtlzoo._registry import unknown_name
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._split import split_rows
from mtlzoo.errors import DataError
from mtlzoo.features._infer import infer_one
from mtlzoo.tasks import Task, check_tasks

Tasks = Sequence[Task] | Callable[[dict[str, Any]], Sequence[Task]]


def from_frame(
    frame: Any,
    *,
    tasks: Tasks,
    inputs: Sequence[str] | Mapping[str, Any] | None = None,
    label_columns: Mapping[str, str] | None = None,
    bins: int = 0,
    split: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    name: str = "frame",
) -> Dataset:
    """Return a data set made of a table: a data frame or a dict of arrays.

    Rows go to the splits at random. For a split of your own, by time or by patient,
    call `Dataset`.

    Args:
        frame: a pandas or polars data frame, or a dict of arrays of shape `(rows,)` or
            `(rows, ...)`. The labels of a task are the column of the task's name.
        tasks: what to predict, or a function that returns it given the training rows
            as a dict of arrays; so the labels are normalised by training rows alone.
        inputs: the names of the columns that are inputs; or a dict of features, or
            shapes of rows, by column. `None` takes every column that is no label.
            Features that are not given come from `mtlzoo.features.infer` and see the
            training rows alone.
        label_columns: for a task whose labels were made from a column of another name,
            that column, as in `{"never_married": "marital_status"}`; it can't be an
            input.
        bins: how many bins to encode a number by besides, at most, where its feature is
            not given.
        split: the fractions of training, validation and test.
        seed: of the split.
        name: of the data set, for messages.

    Raises:
        DataError: a column is missing or is both label and input, or there are too
            few rows.
        LabelError: the labels don't fit their task.

    Example:

    ```python
    wages = from_frame(
        pandas.read_csv("wages.csv"),
        tasks=lambda train: [
            mtlzoo.tasks.Binary("employed"),
            mtlzoo.tasks.Regression.from_values("hours", train["hours"]),
        ],
    )
    model = mtlzoo.build("shared_bottom", **wages.spec)
    ```
    """
    raw = {str(key): one for key, one in columns_of(frame, "`frame`").items()}
    columns = {key: plain_array(one, f"Column {key!r}") for key, one in raw.items()}
    lengths = {key: len(column) for key, column in columns.items()}
    if not lengths or len(set(lengths.values())) > 1:
        raise DataError(
            "`frame` must have columns, all of the same number of rows. "
            f"Received: {lengths}."
        )
    rows = split_rows(next(iter(lengths.values())), split, seed)
    parts = {
        part: {key: column[chosen] for key, column in columns.items()}
        for part, chosen in rows.items()
    }
    made = check_tasks(tasks(parts["train"]) if callable(tasks) else tasks)
    return Dataset(
        name,
        {part: (table, table) for part, table in parts.items()},
        inputs=_features(
            parts["train"],
            inputs,
            made,
            label_columns or {},
            {key for key, column in raw.items() if is_category(column)},
            bins,
        ),
        tasks=made,
        label_columns=label_columns,
    )


def _features(
    train: Mapping[str, Any],
    inputs: Sequence[str] | Mapping[str, Any] | None,
    tasks: Sequence[Task],
    label_columns: Mapping[str, str],
    categories: set[str],
    bins: int,
) -> dict[str, Any]:
    if isinstance(inputs, Mapping):
        return dict(inputs)
    if inputs is None:
        labels = {task.name for task in tasks} | set(label_columns.values())
        inputs = [key for key in train if key not in labels]
    for key in inputs:
        if key not in train:
            raise DataError(unknown_name("column", key, train))
    return {key: infer_one(key, train[key], key in categories, bins) for key in inputs}
