from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo.errors import OptionError
from mtlzoo.transfer._adapt import Alignment


@keras.saving.register_keras_serializable("mtlzoo")
class MMD(Alignment):
    """The maximum mean discrepancy of source and target features, in a batch.

    The squared distance between the means of both domains in the space of a kernel:
    `mean k(s, s') + mean k(t, t') - 2 mean k(s, t)`, over the rows `s` of the source
    and `t` of the target. The kernel is the mean of Gaussians `exp(-d^2 / (m * b))`,
    where `d` is the distance of two rows, `b` the mean of `d^2` over all pairs in the
    batch, and `m` each of `bandwidths`. It is 0 if and only if both are alike, and at
    most 2.

    Args:
        weight: what it is multiplied by in the loss.
        bandwidths: of the kernels, relative to the batch's own spread.

    Reference: Arthur Gretton et al., *A Kernel Two-Sample Test*, JMLR 2012,
    <https://jmlr.org/papers/v13/gretton12a.html>; Mingsheng Long et al., *Learning
    Transferable Features with Deep Adaptation Networks*, ICML 2015,
    <https://arxiv.org/abs/1502.02791> (several kernels, as a loss).

    Differences from the second paper: all pairs of a batch are compared, where it takes
    the estimate that is linear in the rows, and all kernels weigh the same. The
    estimate is the biased one, which is never negative and holds for a single row.
    """

    def __init__(
        self,
        *,
        weight: float = 1.0,
        bandwidths: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(weight=weight, **kwargs)
        self.bandwidths = [float(one) for one in bandwidths]
        if not self.bandwidths or min(self.bandwidths) <= 0:
            raise OptionError(
                "`bandwidths` must be one or more positive numbers. Received: "
                f"bandwidths={bandwidths}."
            )

    def distance(self, features: Any, target: Any, training: bool) -> Any:
        squares = _squared_distances(features)
        rows = ops.cast(ops.shape(features)[0], "float32")
        spread = ops.divide_no_nan(ops.sum(squares), rows * (rows - 1))
        # Where all rows are the same, any bandwidth will do.
        spread = ops.stop_gradient(ops.where(spread > 0, spread, ops.ones_like(spread)))
        kernels = [ops.exp(-squares / (one * spread)) for one in self.bandwidths]
        kernel = sum(kernels) / len(kernels)
        source = 1 - target
        sides = [ops.divide_no_nan(one, ops.sum(one)) for one in (source, target)]
        apart = sides[0] - sides[1]
        there = ops.logical_and(ops.any(source > 0), ops.any(target > 0))
        found = ops.sum(apart * ops.matmul(kernel, apart))
        return ops.where(there, found, ops.zeros_like(found))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bandwidths": self.bandwidths}


def _squared_distances(rows: Any) -> Any:
    """Return the squared distance of each pair of rows, `(batch, batch)`."""
    norms = ops.sum(ops.square(rows), axis=-1)
    products = ops.matmul(rows, ops.transpose(rows))
    found = norms[:, None] + norms[None, :] - 2 * products
    # Rounding can leave a little less than 0.
    return ops.maximum(found, 0.0)
