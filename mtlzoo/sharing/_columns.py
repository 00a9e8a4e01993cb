from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo.errors import DataError
from mtlzoo.sharing._base import Sharing
from mtlzoo.sharing._readable import Readable
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


class Columns(Sharing):
    """Methods with a trunk for each task, a column, that share between the stages.

    The trunk of task `t` is named `trunk.t`. After each stage the columns pass through
    `exchange`; methods that only tie the weights of the columns leave it as it is.
    """

    min_tasks = 2

    def exchange(self, columns: dict[str, Any], stage: int) -> dict[str, Any]:
        """Return what the next stage of each column reads.

        Args:
            columns: the output of the stage, by task name; equal shapes.
            stage: which one, counted from 1.
        """
        return columns

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        outputs = self.run(sources, trunk, tasks)
        return {
            task.name: trunk.finish(outputs[-1][task.name], f"trunk.{task.name}").read(
                task
            )
            for task in tasks
        }

    def run(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> list[dict[str, Any]]:
        """Return, for each stage, its output in each column after the exchange."""
        names = [task.name for task in tasks]
        columns = {name: trunk.begin(sources, f"trunk.{name}") for name in names}
        stages = {name: trunk.stages(f"trunk.{name}") for name in names}
        depth = len(stages[names[0]])
        if not depth:
            raise DataError(
                f"{type(self).__name__} shares between the stages of its trunks, and "
                f"this trunk, {type(trunk).__name__}, has none. Take one that has, "
                "such as an mlp with units, a cnn, a resnet, an rnn or a transformer."
            )
        outputs = []
        for index in range(depth):
            columns = {name: stages[name][index](columns[name]) for name in names}
            columns = self.exchange(columns, index + 1)
            outputs.append(columns)
        return outputs


def starting_at(values: Any) -> Callable[..., Any]:
    """Return an initializer that gives `values`, repeated to the shape asked for."""

    def draw(shape: Sequence[int], dtype: Any = None) -> Any:
        start = ops.convert_to_tensor(values, dtype)
        for _ in range(len(shape) - len(start.shape)):
            start = ops.expand_dims(start, -1)
        return ops.broadcast_to(start, shape)

    return draw


@keras.saving.register_keras_serializable("mtlzoo")
class Stitch(Readable, keras.layers.Layer):
    """A linear combination of the columns, for one of them: `sum_j a_j x_j`.

    Args:
        tasks: the names of the columns, in order.
        own: the index of the column that reads the result.
        own_weight: what `a_own` starts at; the others share `1 - own_weight` evenly.
        per_channel: whether each entry of the last axis has weights of its own.

    Input shape: a list of tensors of one shape, a column each.

    Output shape: that shape.
    """

    quantity = "mixing weight, mean over channels"

    def __init__(
        self,
        tasks: Sequence[str],
        own: int,
        *,
        own_weight: float = 0.9,
        per_channel: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.tasks = tuple(tasks)
        self.own = own
        self.own_weight = own_weight
        self.per_channel = per_channel

    def build(self, input_shape: Any) -> None:
        channels = input_shape[0][-1] if self.per_channel else 1
        rest = (1.0 - self.own_weight) / max(len(self.tasks) - 1, 1)
        start = [
            self.own_weight if index == self.own else rest
            for index in range(len(self.tasks))
        ]
        self.weight = self.add_weight(
            name="weight",
            shape=(len(self.tasks), channels),
            initializer=starting_at(start),
        )

    def call(self, inputs: Any) -> Any:
        return sum(self.weight[index] * tensor for index, tensor in enumerate(inputs))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[self.own] if mask else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        names = ("tasks", "own", "own_weight", "per_channel")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    @property
    def read_from(self) -> Sequence[str]:
        return self.tasks

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        return ops.convert_to_numpy(ops.mean(self.weight, axis=-1))
