from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._columns import Columns
from mtlzoo.sharing._labels import JoinPredictions
from mtlzoo.sharing._readable import Readable


@keras.saving.register_keras_serializable("mtlzoo")
class BlockDiagonal(keras.initializers.Initializer):
    """A kernel that reads one of several blocks of its input, and the rest a little.

    For a kernel of shape `(num_blocks * units, units)`: `own_weight` on the diagonal of
    block `own`, `(1 - own_weight) / (num_blocks - 1)` on the diagonal of the others.

    Args:
        own: the index of the block.
        own_weight: its weight.
    """

    def __init__(self, own: int, own_weight: float) -> None:
        self.own = own
        self.own_weight = own_weight

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        rows, units = shape
        blocks = rows // units
        weights = np.full(blocks, (1 - self.own_weight) / max(blocks - 1, 1))
        weights[self.own] = self.own_weight
        kernel = np.concatenate([weight * np.eye(units) for weight in weights])
        return keras.ops.convert_to_tensor(kernel, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"own": self.own, "own_weight": self.own_weight}


@keras.saving.register_keras_serializable("mtlzoo")
class Fusion(Readable, keras.layers.Dense):
    """A matrix from the joined channels of all columns to those of one.

    Args:
        units: how many channels a column has.
        tasks: the names of the columns, in order.
        **kwargs: other arguments of `keras.layers.Dense`.
    """

    quantity = "share of the matrix's norm"

    def __init__(self, units: int, tasks: Sequence[str], **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.tasks = tuple(tasks)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tasks": self.tasks}

    @property
    def read_from(self) -> Sequence[str]:
        return self.tasks

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        kernel = keras.ops.convert_to_numpy(self.kernel)
        norms = [np.linalg.norm(block) for block in np.split(kernel, len(self.tasks))]
        return np.asarray(norms) / max(sum(norms), 1e-12)


@ARCHITECTURES.register(
    "nddr",
    paper="Gao et al., CVPR 2019",
    tasks="two or more, any kind",
    inputs="any, over a trunk of several stages",
    extra_losses="weight decay of the fusion layers",
)
@keras.saving.register_keras_serializable("mtlzoo")
class NDDR(Columns):
    """A network for each task; after each stage, a 1x1 convolution fuses them all.

    With `x_{l,j}` the output of stage `l` in the network of task `j`, the next stage of
    the network of task `t` reads `relu(BN(W_{l,t} [x_{l,1}, ..., x_{l,T}]))`: all
    networks' channels joined, reduced to as many as one has by a matrix without bias,
    which starts with `own_weight` on the diagonal of its own network's channels and the
    rest spread over those of the others, then batch normalisation `BN`. Named after
    neural discriminative dimensionality reduction.

    Args:
        own_weight: of its own network's channels, when training begins.
        weight_decay: the L2 penalty on the matrices.

    Reference: Yuan Gao, Jiayi Ma, Mingbo Zhao, Wei Liu, Alan L. Yuille, *NDDR-CNN:
    Layerwise Feature Fusing in Multi-Task CNNs by Neural Discriminative Dimensionality
    Reduction*, CVPR 2019, <https://arxiv.org/abs/1801.08297>.

    Differences from the authors' code: the variant with shortcuts from all stages to
    the last is left out.
    """

    def __init__(self, *, own_weight: float = 0.9, weight_decay: float = 1e-4) -> None:
        self.own_weight = own_weight
        self.weight_decay = weight_decay

    def exchange(self, columns: dict[str, Any], stage: int) -> dict[str, Any]:
        joined = JoinPredictions(name=f"sharing.join_{stage}")(list(columns.values()))
        return {
            task: self._fuse(joined, own, list(columns), f"_{stage}.{task}")
            for own, task in enumerate(columns)
        }

    def _fuse(self, joined: Any, own: int, tasks: list[str], suffix: str) -> Any:
        tensor = Fusion(
            joined.shape[-1] // len(tasks),
            tasks,
            use_bias=False,
            kernel_initializer=BlockDiagonal(own, self.own_weight),
            kernel_regularizer=keras.regularizers.L2(self.weight_decay),
            name=f"sharing.fusion{suffix}",
        )(joined)
        tensor = keras.layers.BatchNormalization(
            momentum=0.95, name=f"sharing.fusion_norm{suffix}"
        )(tensor)
        return keras.layers.ReLU(name=f"sharing.fusion_relu{suffix}")(tensor)
