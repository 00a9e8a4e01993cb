from collections.abc import Sequence
from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._base import Head, Outputs, Sharing, mark_representation
from mtlzoo.sharing._experts import check_at_least
from mtlzoo.sharing._labels import JoinPredictions, check_one_kind
from mtlzoo.tasks import Task, check_tasks
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


@ARCHITECTURES.register(
    "cascade",
    tasks="two or more that read one kind of features",
    inputs="any",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class Cascade(Sharing):
    """Each task reads the representation and the prediction of the task before it.

    With the features `x` of one trunk, `h_1 = relu(W_1 x + b_1)` and
    `h_t = relu(W_t [x, h_{t-1}, y_{t-1}] + b_t)`, where `y_t` is what the head of task
    `t` predicts from `h_t`. Gradients flow back through the whole chain. The plainest
    way to let a task build on another; it is no one paper's.

    Args:
        units: the width of each `h_t`.
        activation: in place of the relu.
    """

    min_tasks = 2

    def __init__(self, units: int = 64, *, activation: str = "relu") -> None:
        self.units = units
        self.activation = activation
        check_at_least(1, "cascade", units=units)

    def connect(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task], head: Head
    ) -> Outputs:
        check_tasks(tasks, self.min_tasks)
        check_one_kind(tasks, "cascade")
        features = trunk.connect(sources).read(tasks[0])
        outputs = Outputs({}, {})
        before: list[Any] = []
        for task in tasks:
            tensor = features
            if before:
                tensor = JoinPredictions(name=f"sharing.join.{task.name}")(
                    [features, *before]
                )
            tensor = keras.layers.Dense(
                self.units,
                activation=self.activation,
                name=f"sharing.dense.{task.name}",
            )(tensor)
            representation = mark_representation(task.name, tensor)
            prediction = head(task, representation)
            outputs.representations[task.name] = representation
            outputs.predictions[task.name] = prediction
            before = [representation, prediction]
        return outputs
