"""From names to a compiled model."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mtlzoo import trunks
from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import DataError, OptionError
from mtlzoo.features import Image, Numeric, as_feature
from mtlzoo.heads import Tower
from mtlzoo.model import MultiTaskModel
from mtlzoo.sharing import Sharing
from mtlzoo.tasks import Task, check_tasks
from mtlzoo.tasks._base import check_name
from mtlzoo.trunks import Source

__all__ = ["build"]


def build(
    architecture: str | Sharing,
    *,
    inputs: Any,
    tasks: Sequence[Task],
    trunk: Any = None,
    head: Tower | Mapping[str, Tower] | None = None,
    balancing: Any = None,
    optimizer: Any = "adam",
    name: str | None = None,
    **options: Any,
) -> MultiTaskModel:
    """Return a compiled multi-task model: dict of inputs in, dict of predictions out.

    Args:
        architecture: how the tasks share: a name of `mtlzoo.list_architectures()`, or
            an object of `mtlzoo.sharing`.
        inputs: a dict by input name. A value is a shape of one row, such as
            `(224, 224, 3)`; a feature, such as `mtlzoo.Categorical(vocabulary)`; or a
            `keras.Input`.
        tasks: what to predict, such as `[mtlzoo.tasks.Binary("income")]`.
        trunk: from inputs to features: a name of `mtlzoo.list_trunks()`, an object of
            `mtlzoo.trunks`, or a Keras model or layer. `None` takes what suits the
            inputs.
        head: from a task's representation to its prediction: a `mtlzoo.heads.Tower`, or
            a dict of them by task name. `None` takes one hidden layer of 64 units.
        balancing: how the tasks' losses or gradients are combined: a name of
            `mtlzoo.list_balancing()`, or an object. `None` adds the weighted losses.
        optimizer: a Keras optimizer or its name.
        name: of the model; the architecture's name by default.
        **options: of the architecture, as `mtlzoo show NAME` lists them.

    Returns:
        A `MultiTaskModel`. Its layers are named by their part: `trunk.*`, `sharing.*`,
        `representation.<task>`, `heads.<task>.*`.

    Raises:
        UnknownNameError: no architecture, trunk or balancing has that name.
        OptionError: the architecture has no such option.
        TaskError: the tasks clash, or the trunk lacks the features that one reads.
        DataError: an input is none of the above, or the trunk can't take it.

    Example:

    ```python
    model = mtlzoo.build(
        "shared_bottom",
        inputs={"age": (), "job": mtlzoo.Categorical(["clerk", "nurse"])},
        tasks=[tasks.Binary("income"), tasks.Regression("hours")],
    )
    model.fit({"age": ages, "job": jobs}, {"income": income, "hours": hours})
    ```
    """
    sharing = _sharing(architecture, options)
    tasks = check_tasks(tasks)
    sources = _sources(inputs)
    if clash := sorted(set(sources) & {task.name for task in tasks}):
        raise DataError(
            f"{', '.join(clash)}: both an input and a task. A model that is given its "
            "answer learns to copy it; take the label out of the inputs."
        )
    trunk = sharing.default_trunk(sources) if trunk is None else trunks.get(trunk)
    outputs = sharing.connect(sources, trunk, tasks, _Heads(head, tasks, sources))
    model = MultiTaskModel(
        {key: source.tensor for key, source in sources.items()},
        {**outputs.predictions, **outputs.derived},
        name=name or (architecture if isinstance(architecture, str) else None),
        tasks=tasks,
        penalties=outputs.penalties,
    )
    model.compile(optimizer, balancing=balancing)
    return model


def _sharing(architecture: str | Sharing, options: dict[str, Any]) -> Sharing:
    if isinstance(architecture, Sharing):
        if options:
            raise OptionError(
                f"{architecture!r} has its options already. Received also: "
                f"{', '.join(options)}."
            )
        return architecture
    cls = ARCHITECTURES.get(architecture)
    cls.check_options(options, f"the architecture {architecture!r}")
    sharing: Sharing = cls(**options)
    return sharing


def _sources(inputs: Any) -> dict[str, Source]:
    if not isinstance(inputs, Mapping) or not inputs:
        raise DataError(
            "`inputs` must be a dict by input name, such as {'photo': (224, 224, 3)}; "
            "of a data frame, mtlzoo.features.infer(frame) makes one. "
            f"Received: {type(inputs).__name__}."
        )
    sources = {}
    for key, value in inputs.items():
        check_name(key, "an input", DataError)
        if isinstance(value, keras.KerasTensor):
            sources[key] = Source(_feature_of(key, value), value)
        else:
            feature = as_feature(key, value)
            sources[key] = Source(feature, feature.input(key))
    return sources


def _feature_of(key: str, tensor: Any) -> Any:
    """Return the feature that takes a `keras.Input` as it is."""
    if tensor.name != key:
        raise DataError(
            f"The keras.Input of {key!r} must carry that name, since exported models "
            f"use it. Received name={tensor.name!r}."
        )
    if len(tensor.shape) == 4:
        return Image(tensor.shape[1:], scale=1.0, dtype=tensor.dtype)
    if len(tensor.shape) == 1:
        return Numeric(())
    return as_feature(key, tuple(tensor.shape[1:]))


class _Heads:
    """Makes the head of a task: the default one, or the caller's."""

    def __init__(
        self, head: Any, tasks: Sequence[Task], sources: Mapping[str, Source]
    ) -> None:
        names = [task.name for task in tasks]
        by_task = head if isinstance(head, Mapping) else dict.fromkeys(names, head)
        if unknown := sorted(set(by_task) - set(names)):
            raise OptionError(
                f"`head` names tasks that the model doesn't have: "
                f"{', '.join(unknown)}. Its tasks: {', '.join(names)}."
            )
        self._by_task = by_task
        images = [one for one in sources.values() if one.feature.form == "image"]
        shape: Any = images[0].feature.input_shape if len(images) == 1 else None
        self._size = shape and shape[:2]

    def __call__(self, task: Task, representation: Any) -> Any:
        head = self._by_task.get(task.name) or Tower()
        return head.connect(task, representation, self._size)
