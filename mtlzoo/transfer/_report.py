import io
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
from rich.console import Console
from rich.table import Table

from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._parts import places


class PartReport(NamedTuple):
    """What of one part of a model is trained.

    Attributes:
        part: `"trunk"`, `"sharing"`, `"heads/<task>"`, `"balancing"` for loss weights
            that are learned, or what else helps to train the model.
        trained: numbers that are trained.
        frozen: numbers that are not, statistics included.
        trained_megabytes: the size of those that are trained.
        megabytes: the size of all.
    """

    part: str
    trained: int
    frozen: int
    trained_megabytes: float
    megabytes: float


@dataclass(frozen=True, repr=False)
class TrainableReport:
    """What of a model is trained, by part; printed as a table.

    Attributes:
        rows: one for each part of the model.
    """

    rows: tuple[PartReport, ...]

    @property
    def total(self) -> PartReport:
        """The sums over all parts."""
        rows = self.rows
        return PartReport(
            "total",
            sum(row.trained for row in rows),
            sum(row.frozen for row in rows),
            sum(row.trained_megabytes for row in rows),
            sum(row.megabytes for row in rows),
        )

    def __str__(self) -> str:
        table = Table(box=None, pad_edge=False)
        table.add_column("part")
        for name in ("trained", "frozen", "trained MB", "MB"):
            table.add_column(name, justify="right")
        for row in (*self.rows, self.total):
            sizes = (f"{row.trained_megabytes:.2f}", f"{row.megabytes:.2f}")
            table.add_row(row.part, f"{row.trained:,}", f"{row.frozen:,}", *sizes)
        text = io.StringIO()
        Console(file=text, width=100, color_system=None).print(table)
        lines = text.getvalue().splitlines()
        return "\n".join(line.rstrip() for line in lines)

    def __repr__(self) -> str:
        return str(self)


def trainable_report(model: MultiTaskModel) -> TrainableReport:
    """Return what of a model is trained: counts and megabytes of each part.

    Args:
        model: a multi-task model.

    Example:

    ```python
    print(transfer.trainable_report(model))
    # part          trained  frozen  trained MB    MB
    # trunk               0  56,448        0.00  0.23
    # heads/income    8,321       0        0.03  0.03
    # total           8,321  56,448        0.03  0.26
    ```
    """
    learned = {id(one) for one in model.trainable_variables}
    held: dict[str, dict[int, Any]] = {}
    for place in places(model):
        part = held.setdefault(_part(place.path), {})
        part |= {id(one): one for one in place.layer.variables}
    if model.balancing is not None and model.balancing.trainable_variables:
        weights = model.balancing.trainable_variables
        held["balancing"] = {id(one): one for one in weights}
    tasks = [f"heads/{task.name}" for task in model.tasks]
    order = ["trunk", "sharing", *tasks, *sorted(held), "balancing"]
    return TrainableReport(
        tuple(
            _row(part, list(held[part].values()), learned)
            for part in dict.fromkeys(order)
            if part in held
        )
    )


def _part(path: str) -> str:
    names = path.split("/")
    return "/".join(names[:2]) if names[0] == "heads" else names[0]


def _row(part: str, variables: list[Any], learned: set[int]) -> PartReport:
    counts, sizes = [0, 0], [0, 0]
    for variable in variables:
        frozen = id(variable) not in learned
        counts[frozen] += math.prod(variable.shape)
        sizes[frozen] += keras.ops.convert_to_numpy(variable).nbytes
    return PartReport(part, counts[0], counts[1], sizes[0] / 1e6, sum(sizes) / 1e6)
