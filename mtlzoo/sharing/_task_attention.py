import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._base import Sharing
from mtlzoo.sharing._experts import Mixture, check_at_least
from mtlzoo.sharing._labels import check_one_kind
from mtlzoo.sharing._readable import Readable, mean_over_rows
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


@keras.saving.register_keras_serializable("mtlzoo")
class StackTasks(keras.layers.Layer):
    """Stack tensors of shape `(batch, ..., width)` to `(batch, ..., count, width)`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return ops.stack(inputs, axis=-2)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[0] if mask else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        first = input_shape[0]
        return (*first[:-1], len(input_shape), first[-1])


@keras.saving.register_keras_serializable("mtlzoo")
class TaskScores(Readable, keras.layers.Layer):
    """How much one task attends to each: `softmax_j(<Q h, K h_j> / sqrt(k))`.

    `Q` and `K` are `k x k` matrices without bias. Computed in float32 under every
    precision policy.

    Args:
        experts: the names of the tasks that are attended to, in order, for reports.

    Input shape: a list: `h` of shape `(batch, ..., k)`, and the stacked `h_j` of shape
    `(batch, ..., num_tasks, k)`.

    Output shape: `(batch, ..., num_tasks)`.
    """

    quantity = "mean attention"

    def __init__(self, experts: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.supports_masking = True
        self.experts = tuple(experts)

    def build(self, input_shape: Any) -> None:
        width = input_shape[0][-1]
        self.query, self.key = (
            self.add_weight(
                name=name, shape=(width, width), initializer="glorot_uniform"
            )
            for name in ("query", "key")
        )

    def call(self, inputs: Any) -> Any:
        own, everyone = inputs
        query = ops.expand_dims(ops.matmul(own, self.query), -2)
        scores = ops.sum(query * ops.matmul(everyone, self.key), axis=-1)
        return ops.softmax(scores / math.sqrt(own.shape[-1]), axis=-1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[0] if mask else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], len(self.experts))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "experts": self.experts}

    @property
    def read_from(self) -> Sequence[str]:
        return self.experts

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        return mean_over_rows(outputs[0], keep=1)


@ARCHITECTURES.register(
    "task_attention",
    tasks="two or more that read one kind of features",
    inputs="any",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class TaskAttention(Sharing):
    """Tasks that cooperate: each attends to the representations of all.

    With the features `x` of one trunk, `h_t = relu(W_t x + b_t)`; the head of task `t`
    reads `h_t + sum_j a_{t,j} V_t h_j` with
    `a_t = softmax_j(<Q_t h_t, K_t h_j> / sqrt(k))`: attention over the tasks, itself
    among them, for each row, step or pixel by itself; `k` is the width of `h_t`, and
    `Q_t`, `K_t`, `V_t` are `k x k` matrices without bias.

    The attention is that of Transformers, across tasks instead of positions; in this
    plain form it is no one paper's.

    Args:
        units: the width `k`.
        activation: in place of the relu.

    Reference: Ashish Vaswani et al., *Attention Is All You Need*, NeurIPS 2017,
    <https://arxiv.org/abs/1706.03762>, for the attention.
    """

    min_tasks = 2

    def __init__(self, units: int = 64, *, activation: str = "relu") -> None:
        self.units = units
        self.activation = activation
        check_at_least(1, "task_attention", units=units)

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        check_one_kind(tasks, "task_attention")
        features = trunk.connect(sources).read(tasks[0])
        own = {
            task.name: keras.layers.Dense(
                self.units,
                activation=self.activation,
                name=f"sharing.dense.{task.name}",
            )(features)
            for task in tasks
        }
        everyone = StackTasks(name="sharing.stack")(list(own.values()))
        return {task: self._attend(task, own, everyone) for task in own}

    def _attend(self, task: str, own: dict[str, Any], everyone: Any) -> Any:
        scores = TaskScores(list(own), name=f"sharing.attention.{task}")(
            [own[task], everyone]
        )
        values = keras.layers.Dense(
            self.units, use_bias=False, name=f"sharing.values.{task}"
        )(everyone)
        read = Mixture(name=f"sharing.mixture.{task}")([scores, values])
        return keras.layers.Add(name=f"sharing.add.{task}")([own[task], read])
