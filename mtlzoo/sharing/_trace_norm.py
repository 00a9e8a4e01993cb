import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._config import Configured
from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import OptionError
from mtlzoo.sharing._base import Head, Outputs
from mtlzoo.sharing._columns import Columns
from mtlzoo.sharing._ties import tied_matrices
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources

UNFOLDINGS = ("task", "tucker", "tensor_train")


def nuclear_norm(matrix: Any) -> Any:
    """Return the sum of the singular values of `matrix`.

    With `A = U S V'`, its gradient is `U V'`, over the singular values that are not 0:
    the shortest of the subgradients. From the eigenvalues of `A A'`, which for small
    sides takes half the time of singular value decompositions forward and back; in
    float64, since they are the squares.
    """
    if matrix.shape[0] > matrix.shape[1]:
        matrix = ops.transpose(matrix)
    wide = ops.cast(matrix, "float64")
    gramian = ops.matmul(wide, ops.transpose(wide))
    # Of what is not finite there are no eigenvalues, and TensorFlow would raise.
    gramian = ops.where(ops.all(ops.isfinite(gramian)), gramian, 0.0)
    squares, vectors = ops.linalg.eigh(gramian)
    # JAX has float64 only where it is told to.
    exact = keras.backend.standardize_dtype(gramian.dtype) == "float64"
    kept = squares > (1e-14 if exact else 1e-6) * ops.max(squares)
    inverses = ops.where(kept, ops.rsqrt(ops.where(kept, squares, 1.0)), 0.0)
    root = ops.matmul(vectors * inverses, ops.transpose(vectors))
    slope = ops.cast(ops.matmul(root, wide), matrix.dtype)
    return ops.sum(ops.stop_gradient(slope) * matrix)


def tensor_trace_norm(tensor: Any, unfolding: str) -> Any:
    """Return the trace norm of a tensor of shape `(rows, columns, num_tasks)`.

    Args:
        tensor: `W`.
        unfolding: `"task"`: the nuclear norm of `W` with an axis for the tasks and one
            for all else; `"tucker"`: the sum of the nuclear norms with an axis for each
            of the three in turn; `"tensor_train"`: the sum with the first axis against
            the rest, and the first two against the last.
    """
    shape = tensor.shape
    axes = {"task": (2,), "tucker": (0, 1, 2), "tensor_train": (0, 2)}[unfolding]
    total = ops.zeros(())
    for axis in axes:
        total += nuclear_norm(
            ops.reshape(ops.moveaxis(tensor, axis, 0), (shape[axis], -1))
        )
    return total


@keras.saving.register_keras_serializable("mtlzoo")
class TraceNorm(Configured):
    """The tensor trace norm of the tasks' trunks, as a penalty.

    Args:
        tasks: the names of the tasks.
        strength: what the sum of the norms of all layers is multiplied by.
        unfolding: see `tensor_trace_norm`.
    """

    def __init__(self, tasks: Sequence[str], strength: float, unfolding: str) -> None:
        self.tasks = list(tasks)
        self.strength = strength
        self.unfolding = unfolding

    def __call__(self, model: Any) -> Any:
        """Return the penalty for the weights of `model`, a scalar."""
        total = ops.zeros(())
        for matrices in tied_matrices(model, self.tasks, embeddings=False):
            columns = matrices[0].shape[-1]
            rows = math.prod(matrices[0].shape[:-1])
            flat = [ops.reshape(one, (rows, columns)) for one in matrices]
            total += tensor_trace_norm(ops.stack(flat, axis=-1), self.unfolding)
        return self.strength * total


@ARCHITECTURES.register(
    "trace_norm",
    paper="Yang and Hospedales, ICLR workshop 2017",
    tasks="two or more, any kind",
    inputs="any, over a trunk of several stages",
    extra_losses="tensor trace norm of the trunks",
)
@keras.saving.register_keras_serializable("mtlzoo")
class TraceNormSharing(Columns):
    """A network for each task, whose weights are driven to span few directions.

    The weight matrices of a layer in all `T` networks are stacked to a tensor `W` of
    shape `(rows, columns, T)`. Added to the loss is `strength` times the sum, over all
    layers, of its trace norm: the nuclear norm `||.||_*`, the sum of the singular
    values, of matrices that `W` is unfolded to. Training thus decides, layer by layer,
    how much the networks share. It costs the eigenvalues of a matrix a layer and
    unfolding on each step, as many as the shorter side is long, so it suits small
    layers.

    Args:
        strength: the weight of the penalty.
        unfolding: `"task"` for `||W_(3)||_*`, `W_(i)` being `W` with axis `i` against
            the rest (the paper's last axis flattening); `"tucker"` for
            `sum_i ||W_(i)||_*`; `"tensor_train"` for the unfoldings after the first
            axis and after the second.

    Reference: Yongxin Yang, Timothy M. Hospedales, *Trace Norm Regularised Deep
    Multi-Task Learning*, ICLR 2017 workshop, <https://arxiv.org/abs/1606.04038>.

    Differences from the paper: kernels of more than two axes, as of convolutions, are
    first reshaped to matrices whose columns are the output channels.
    """

    def __init__(self, strength: float = 1e-3, *, unfolding: str = "tucker") -> None:
        self.strength = strength
        self.unfolding = unfolding
        if unfolding not in UNFOLDINGS:
            raise OptionError(
                "`unfolding` of the architecture 'trace_norm' must be one of "
                f"{', '.join(UNFOLDINGS)}. Received: unfolding={unfolding!r}."
            )

    def connect(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task], head: Head
    ) -> Outputs:
        outputs = super().connect(sources, trunk, tasks, head)
        names = [task.name for task in tasks]
        outputs.penalties.append(TraceNorm(names, self.strength, self.unfolding))
        return outputs
