from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mtlzoo._graph import steps
from mtlzoo.sharing._readable import Readable


@dataclass(frozen=True)
class SharingTable:
    """Who reads how much of what, at one place of a model.

    Attributes:
        quantity: what the values are, in words.
        readers: the names of the rows: tasks, or experts of the next level.
        sources: the names of the columns: experts, tasks or layers.
        values: shape `(len(readers), len(sources))`; NaN where a source is out of a
            reader's reach.
    """

    quantity: str
    readers: list[str]
    sources: list[str]
    values: np.ndarray

    @property
    def sparsity(self) -> float:
        """The part of all sources within reach that is not used at all."""
        within = self.values[~np.isnan(self.values)]
        return float(np.mean(within == 0)) if within.size else 0.0

    def __str__(self) -> str:
        head = ["", *self.sources]
        body = [
            [reader, *(_cell(value) for value in row)]
            for reader, row in zip(self.readers, self.values, strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) for cell, width in zip(row, widths, strict=True)
            )
            for row in [head, *body]
        ]
        return "\n".join([f"{self.quantity}, sparsity {self.sparsity:.2f}", *lines])


def sharing_report(
    model: Any, x: Any, *, batch_size: int = 256
) -> dict[str, SharingTable]:
    """Return how the tasks of `model` share, a table for each place.

    The place `parameters` is there for every model: how many parameters the predictions
    of two tasks have in common. The others depend on the architecture: mean gate
    weights by expert, mixing matrices, open connections, mean attention masks, how
    alike the weights of two networks are.

    Args:
        model: a `MultiTaskModel`.
        x: a dict of arrays by input name, as `keras.Model.predict` takes them;
            `model.sharing_report` also takes data frames and the like. Means are taken
            over these rows and, for sequences and maps, over all of their steps or
            pixels, padding included.
        batch_size: how many rows are computed at a time.
    """
    report = {"parameters": _common_parameters(model)}
    places: dict[str, _Place] = {}
    for layer, inputs, outputs in _readings(model, x, batch_size):
        values = np.asarray(layer.use(inputs, outputs), "float64")
        place, readers = layer.place, [layer.name.rpartition(".")[2]]
        if values.ndim == 1:
            values = values[None]
        elif len(values) > 1:
            readers = [f"{readers[0]} {one}" for one in range(1, len(values) + 1)]
        table = places.setdefault(place, _Place(layer.quantity))
        for one, row in zip(readers, values, strict=True):
            table.add(one, dict(zip(layer.read_from, row, strict=True)))
    report |= {place: table.finish() for place, table in places.items()}
    for penalty in model.penalties:
        report["weights"] = _likeness(model, penalty)
    return report


class _Place:
    """Collects the rows of one table; readers may read from different sources."""

    def __init__(self, quantity: str) -> None:
        self._quantity = quantity
        self._rows: dict[str, dict[str, float]] = {}

    def add(self, reader: str, row: Mapping[str, float]) -> None:
        self._rows.setdefault(reader, {}).update(row)

    def finish(self) -> SharingTable:
        sources = list(dict.fromkeys(key for row in self._rows.values() for key in row))
        values = [
            [row.get(source, np.nan) for source in sources]
            for row in self._rows.values()
        ]
        return SharingTable(
            self._quantity, list(self._rows), sources, np.asarray(values)
        )


def _readings(model: Any, x: Any, batch_size: int) -> list[tuple[Any, Any, Any]]:
    """Return each readable layer with its inputs and outputs for the rows of `x`."""
    found: dict[str, Any] = {}
    for step in steps(model.outputs):
        if isinstance(step.layer, Readable):
            found.setdefault(step.layer.name, step)
    if not found:
        return []
    order = {task.name: index for index, task in enumerate(model.tasks)}
    found = dict(
        sorted(
            found.items(),
            key=lambda item: order.get(item[0].rpartition(".")[2], len(order)),
        )
    )
    tensors = {
        f"{name} {side} {index}": tensor
        for name, step in found.items()
        for side, group in (("in", step.inputs), ("out", step.outputs))
        for index, tensor in enumerate(group)
    }
    inside = keras.Model(model.input, tensors)
    arrays = inside.predict(x, batch_size=batch_size, verbose=0)

    def side_of(name: str, side: str, group: list[Any]) -> list[Any]:
        return [arrays[f"{name} {side} {index}"] for index in range(len(group))]

    return [
        (
            step.layer,
            side_of(name, "in", step.inputs),
            side_of(name, "out", step.outputs),
        )
        for name, step in found.items()
    ]


def _common_parameters(model: Any) -> SharingTable:
    names = [task.name for task in model.tasks]
    sizes: dict[int, int] = {}
    owned = {}
    for name in names:
        layers = [step.layer for step in steps([model.output[name]])]
        variables = [
            variable
            for layer in layers
            if isinstance(layer, keras.layers.Layer)
            for variable in layer.trainable_variables
        ]
        sizes.update({id(one): int(np.prod(one.shape)) for one in variables})
        owned[name] = {id(one) for one in variables}
    values = [
        [float(sum(sizes[one] for one in owned[a] & owned[b])) for b in names]
        for a in names
    ]
    return SharingTable("parameters in common", names, list(names), np.asarray(values))


def _likeness(model: Any, penalty: Any) -> SharingTable:
    """Return the cosine of the angle between the weights of each two trunks."""
    from mtlzoo.sharing._ties import tied_matrices

    groups = tied_matrices(model, penalty.tasks)
    flat = [
        np.concatenate(
            [keras.ops.convert_to_numpy(group[i]).ravel() for group in groups]
        )
        for i in range(len(penalty.tasks))
    ]
    rows = np.stack([one / max(np.linalg.norm(one), 1e-12) for one in flat])
    return SharingTable(
        "cosine similarity of the weights",
        list(penalty.tasks),
        list(penalty.tasks),
        rows @ rows.T,
    )


def _cell(value: float) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
