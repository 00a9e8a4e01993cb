import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._base import Head, Outputs, Sharing
from mtlzoo.sharing._features import check_units, columns_as_they_are
from mtlzoo.sharing._funnel import check_binary, mark_all, towers
from mtlzoo.tasks import Task, check_tasks
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


@keras.saving.register_keras_serializable("mtlzoo")
class InformationTransfer(keras.layers.Layer):
    """Attention over a task's own vector and what the task before hands on.

    `z = sum_u w_u V u` with `w = softmax_u(<Q u, K u> / sqrt(k))`, where `u` runs over
    the input vectors, `k` is their width, and `Q`, `K`, `V` are `k x k` matrices
    without bias. Each vector is compared with itself only.

    Input shape: a list of tensors of shape `(batch, k)`.

    Output shape: `(batch, k)`.
    """

    def build(self, input_shape: Any) -> None:
        width = input_shape[0][-1]
        self.query, self.key, self.value = (
            self.add_weight(
                name=name, shape=(width, width), initializer="glorot_uniform"
            )
            for name in ("query", "key", "value")
        )

    def call(self, inputs: Any) -> Any:
        vectors = ops.stack(inputs, axis=-2)
        products = ops.matmul(vectors, self.query) * ops.matmul(vectors, self.key)
        scores = ops.sum(products, axis=-1, keepdims=True)
        weights = ops.softmax(scores / math.sqrt(vectors.shape[-1]), axis=-2)
        return ops.sum(weights * ops.matmul(vectors, self.value), axis=-2)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]


@keras.saving.register_keras_serializable("mtlzoo")
class Calibrator(keras.layers.Layer):
    """Add to the loss what a later step's probability exceeds the earlier one's by.

    The loss is `weight * mean(max(p_t - p_{t-1}, 0))`; `p_t` passes unchanged.

    Args:
        weight: of the loss.

    Input shape: a list of two tensors of shape `(batch, 1)`: `p_t` and `p_{t-1}`.

    Output shape: `(batch, 1)`.
    """

    def __init__(self, weight: float, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.weight = weight

    def call(self, inputs: Any) -> Any:
        later, earlier = inputs
        self.add_loss(self.weight * ops.mean(ops.relu(later - earlier)))
        return later

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}


@ARCHITECTURES.register(
    "aitm",
    paper="Xi et al., KDD 2021",
    tasks="two or more Binary: a chain, such as click, approval, activation",
    inputs="any",
    extra_losses="order of the probabilities",
)
@keras.saving.register_keras_serializable("mtlzoo")
class AITM(Sharing):
    """A chain of tasks, each told adaptively what the one before knows.

    For tasks in the order in which they happen, `h_t` is a tower on shared features;
    `z_1 = h_1`, and `z_t` is attention over `h_t` and `p_t = dropout(relu(W z_{t-1}))`:
    `z_t = sum_u w_u V u` for `u` in `{h_t, p_t}`, `w = softmax(<Q u, K u> / sqrt(k))`.
    The head of task `t` reads `z_t`. A calibrator adds
    `calibrator * mean(max(y_t - y_{t-1}, 0))` to the loss, since a later step can't be
    likelier than the one it needs.

    Args:
        tower_units: the width of each dense layer of a task's tower.
        activation: of these layers.
        share_attention: whether all steps have the same `Q`, `K` and `V`, as in the
            authors' code, or each its own.
        dropout: the rate on what is handed on.
        calibrator: the weight of the calibrator; 0 for none.

    Reference: Dongbo Xi, Zhen Chen, Peng Yan, Yinger Zhang, Yongchun Zhu, Fuzhen
    Zhuang, Yu Chen, *Modeling the Sequential Dependence among Audience Multi-step
    Conversions with Multi-task Learning in Targeted Display Advertising*, KDD 2021,
    <https://arxiv.org/abs/2105.08489>.
    """

    min_tasks = 2

    def __init__(
        self,
        *,
        tower_units: tuple[int, ...] = (128, 64, 32),
        activation: str = "relu",
        share_attention: bool = True,
        dropout: float = 0.1,
        calibrator: float = 0.6,
    ) -> None:
        self.tower_units = check_units("aitm", tower_units, "tower_units")
        self.activation = activation
        self.share_attention = share_attention
        self.dropout = dropout
        self.calibrator = calibrator

    def default_trunk(self, sources: Sources) -> Trunk:
        return columns_as_they_are(sources)

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        features = trunk.connect(sources).read(tasks[0])
        own = towers(features, tasks, self.tower_units, self.activation)
        shared = InformationTransfer(name="sharing.attention")
        handed: dict[str, Any] = {tasks[0].name: own[tasks[0].name]}
        for before, task in pairwise(tasks):
            given = keras.layers.Dense(
                self.tower_units[-1],
                activation="relu",
                name=f"sharing.transfer.{task.name}",
            )(handed[before.name])
            given = keras.layers.Dropout(
                self.dropout, name=f"sharing.transfer_dropout.{task.name}"
            )(given)
            attention = (
                shared
                if self.share_attention
                else InformationTransfer(name=f"sharing.attention.{task.name}")
            )
            handed[task.name] = attention([own[task.name], given])
        return handed

    def connect(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task], head: Head
    ) -> Outputs:
        check_tasks(tasks, self.min_tasks)
        check_binary(tasks, "aitm", "For other kinds take 'dbmtl' or 'cascade'.")
        marked = mark_all(self.represent(sources, trunk, tasks))
        predictions: dict[str, Any] = {}
        before = None
        for task in tasks:
            prediction = head(task, marked[task.name])
            if before is not None and self.calibrator:
                prediction = Calibrator(
                    self.calibrator, name=f"sharing.calibrator.{task.name}"
                )([prediction, before])
            predictions[task.name] = before = prediction
        return Outputs(predictions, marked)
