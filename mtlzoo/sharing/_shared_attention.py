import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import DataError, OptionError, TaskError
from mtlzoo.sharing._base import Sharing
from mtlzoo.sharing._experts import check_at_least
from mtlzoo.tasks import Task
from mtlzoo.trunks import Features, Trunk
from mtlzoo.trunks._base import Sources
from mtlzoo.trunks._pooling import MaskedMean

_EPSILON = 1e-5
"""What layer normalisation adds to variances: PyTorch's default, and so the paper's."""


@keras.saving.register_keras_serializable("mtlzoo")
class AttentionMap(keras.layers.Layer):
    """Where each step looks: `softmax(Q h (K h)^T / sqrt(d))`, for each head.

    Masked steps are not looked at. Computed in float32 under every precision policy.

    Args:
        num_heads: how many attention heads there are; `d` is the width of one.

    Input shape: `(batch, steps, width)`.

    Output shape: `(batch, num_heads, steps, steps)`.
    """

    def __init__(self, num_heads: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.supports_masking = True
        self.num_heads = num_heads

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        self.query, self.key = (
            self.add_weight(
                name=name, shape=(width, width), initializer="glorot_uniform"
            )
            for name in ("query", "key")
        )

    def call(self, inputs: Any, mask: Any = None) -> Any:
        query = split_heads(ops.matmul(inputs, self.query), self.num_heads)
        key = split_heads(ops.matmul(inputs, self.key), self.num_heads)
        scores = ops.matmul(query, ops.swapaxes(key, -1, -2))
        scores = scores / math.sqrt(inputs.shape[-1] // self.num_heads)
        if mask is not None:
            scores = ops.where(mask[:, None, None, :], scores, -1e9)
        return ops.softmax(scores, axis=-1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, steps, _ = input_shape
        return (batch, self.num_heads, steps, steps)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads}


@keras.saving.register_keras_serializable("mtlzoo")
class Attend(keras.layers.Layer):
    """Read the steps where an attention map looks: `O (A V h)`.

    Input shape: a list: `h` of shape `(batch, steps, width)` and a map `A` of shape
    `(batch, num_heads, steps, steps)`.

    Output shape: `(batch, steps, width)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        width = input_shape[0][-1]
        self.value, self.output_ = (
            self.add_weight(
                name=name, shape=(width, width), initializer="glorot_uniform"
            )
            for name in ("value", "output")
        )

    def call(self, inputs: Any) -> Any:
        hidden, attention = inputs
        value = split_heads(ops.matmul(hidden, self.value), attention.shape[1])
        read = ops.swapaxes(ops.matmul(attention, value), 1, 2)
        return ops.matmul(ops.reshape(read, ops.shape(hidden)), self.output_)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[0] if mask else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]


def split_heads(tensor: Any, num_heads: int) -> Any:
    """Return `(batch, steps, width)` as `(batch, num_heads, steps, width / heads)`."""
    batch, steps = ops.shape(tensor)[:2]
    width = tensor.shape[-1] // num_heads
    return ops.swapaxes(ops.reshape(tensor, (batch, steps, num_heads, width)), 1, 2)


@ARCHITECTURES.register(
    "shared_attention",
    paper="Bhattacharjee et al., CVPR 2022",
    tasks="two or more, any kind",
    inputs="one text, series or image, over a trunk that gives a sequence or a map",
    extra_losses="none",
    example="sequence",
)
@keras.saving.register_keras_serializable("mtlzoo")
class SharedAttention(Sharing):
    """A Transformer decoder for each task, all looking where one of them looks.

    With `h_{0,t}` the steps or pixels that one trunk gives, block `l` of task `t` is
    `u_t = h_t + O_t A V_t N(h_t)`, `h_t = u_t + F_t(N(u_t))`: `V_t`, `O_t` and the
    feed-forward network `F_t` are the task's own, `N` is layer normalisation, and the
    attention map `A = softmax(Q N(h_r) (K N(h_r))^T / sqrt(d))` is computed from the
    representation of the reference task `r` and used by all.

    Args:
        reference: the name of the task `r`; the first one by default.
        num_layers: how many blocks each task has.
        num_heads: attention heads a block; the width of the features is a multiple.
        feedforward: the width of the hidden layer of each `F_t`.

    Reference: Deblina Bhattacharjee, Tong Zhang, Sabine Süsstrunk, Mathieu Salzmann,
    *MulT: An End-to-End Multitask Learning Transformer*, CVPR 2022,
    <https://arxiv.org/abs/2205.08303>.

    Differences from the paper: its decoder has several resolutions and windows, on a
    Swin encoder; here the blocks follow any trunk and look at all of its steps.
    """

    min_tasks = 2

    def __init__(
        self,
        reference: str | None = None,
        *,
        num_layers: int = 1,
        num_heads: int = 4,
        feedforward: int = 128,
    ) -> None:
        self.reference = reference
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.feedforward = feedforward
        check_at_least(
            1,
            "shared_attention",
            num_layers=num_layers,
            num_heads=num_heads,
            feedforward=feedforward,
        )

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        names = [task.name for task in tasks]
        reference = self.reference or names[0]
        if reference not in names:
            raise TaskError(
                "`reference` of the architecture 'shared_attention' must be one of "
                f"{', '.join(names)}. Received: reference={reference!r}."
            )
        features = trunk.connect(sources)
        steps = self._steps(features, trunk)
        hidden = dict.fromkeys(names, steps)
        for block in range(1, self.num_layers + 1):
            hidden = self._block(hidden, reference, f"sharing.block_{block}")
        return {task.name: self._read(hidden, task, features) for task in tasks}

    def _steps(self, features: Features, trunk: Trunk) -> Any:
        steps = features.sequence
        if steps is None and features.map is not None:
            _, height, width, channels = features.map.shape
            steps = keras.layers.Reshape(
                (height * width, channels), name="sharing.pixels"
            )(features.map)
        if steps is None:
            raise DataError(
                "The architecture 'shared_attention' needs a trunk that gives a "
                "sequence or a map, such as 'transformer', 'rnn', 'cnn' or 'resnet'. "
                f"Received: {type(trunk).__name__}."
            )
        if steps.shape[-1] % self.num_heads:
            raise OptionError(
                "`num_heads` of the architecture 'shared_attention' must divide the "
                f"width of the trunk's features, {steps.shape[-1]}. Received: "
                f"num_heads={self.num_heads}."
            )
        return steps

    def _block(
        self, hidden: dict[str, Any], reference: str, name: str
    ) -> dict[str, Any]:
        normed = {
            task: keras.layers.LayerNormalization(
                epsilon=_EPSILON, name=f"{name}.norm.{task}"
            )(tensor)
            for task, tensor in hidden.items()
        }
        attention = AttentionMap(self.num_heads, name=f"{name}.attention")(
            normed[reference]
        )
        outputs = {}
        for task, tensor in hidden.items():
            read = Attend(name=f"{name}.attend.{task}")([normed[task], attention])
            tensor = keras.layers.Add(name=f"{name}.attend_add.{task}")([tensor, read])
            inside = keras.layers.LayerNormalization(
                epsilon=_EPSILON, name=f"{name}.feedforward_norm.{task}"
            )(tensor)
            inside = keras.layers.Dense(
                self.feedforward,
                activation="gelu",
                name=f"{name}.feedforward_in.{task}",
            )(inside)
            inside = keras.layers.Dense(
                tensor.shape[-1], name=f"{name}.feedforward_out.{task}"
            )(inside)
            outputs[task] = keras.layers.Add(name=f"{name}.feedforward_add.{task}")(
                [tensor, inside]
            )
        return outputs

    def _read(self, hidden: dict[str, Any], task: Task, features: Features) -> Any:
        """Return the steps of a task as the kind of features that it reads."""
        tensor = hidden[task.name]
        features.read(task)  # raises where the trunk lacks that kind
        if task.reads == "pooled":
            return MaskedMean(name=f"sharing.average.{task.name}")(tensor)
        if task.reads == "map":
            return keras.layers.Reshape(
                features.map.shape[1:], name=f"sharing.map.{task.name}"
            )(tensor)
        return tensor
