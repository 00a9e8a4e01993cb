import math
from typing import Any

import numpy as np

from mtlzoo._registry import DATASETS
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._frame import from_frame
from mtlzoo.errors import DataError
from mtlzoo.features import Numeric
from mtlzoo.tasks import Regression, Task

SCALE = 0.3  # c
NOISE_DEVIATION = 0.1  # the variance of the noise is 0.01
# What keras-mmoe's example draws from N(0, 1) after numpy.random.seed(1).
ALPHA = np.array([-0.4009, 0.8240, -0.5623, 1.9549, -1.3320])
BETA = np.array([-1.7607, -1.6507, -0.8906, -1.1191, 1.9561])


@DATASETS.register(
    "synthetic",
    kind="tabular",
    licence="none needed: it is generated",
    source="https://doi.org/10.1145/3219819.3220007",
    needs="nothing: it is generated",
)
def synthetic(
    *,
    correlation: float = 0.9,
    num_samples: int = 12_000,
    dimension: int = 100,
    seed: int = 0,
) -> Dataset:
    """Two regressions whose relatedness is a number that you set (Ma et al. 2018).

    With orthonormal `u1`, `u2` of `dimension` entries, the tasks' weight vectors are
    `w1 = c u1` and `w2 = c (p u1 + sqrt(1 - p^2) u2)`, so the cosine between them is
    the correlation `p`. For inputs `x ~ N(0, I)`, the labels are

    `y_k = w_k.x + sum_{i=1..m} sin(alpha_i w_k.x + beta_i) + e_k`,  `e_k ~ N(0, 0.01)`

    with `c = 0.3`, `m = 5` and fixed `alpha_i`, `beta_i`, common to both tasks. The
    labels then correlate by about `p`: by 0.46 for `p = 0.5`, and by 0.97 for `p = 1`,
    where noise is all that sets them apart. It makes up 3 % of their variance.

    Tasks: `y1` and `y2`, regression. The input is `x`, a vector of `dimension` numbers.
    80 % of rows are for training, 10 % for validation, 10 % for test.

    Args:
        correlation: of the tasks, `p`, from 0 to 1.
        num_samples: rows in all.
        dimension: entries of the input, at least 2.
        seed: of everything that is drawn.

    Raises:
        DataError: an argument is out of its range.

    Reference: Jiaqi Ma, Zhe Zhao, Xinyang Yi, Jilin Chen, Lichan Hong and Ed H. Chi,
    *Modeling Task Relationships in Multi-task Learning with Multi-gate
    Mixture-of-Experts*, KDD 2018, section 3.2,
    <https://doi.org/10.1145/3219819.3220007>. The paper leaves `c`, `m`, `alpha` and
    `beta` open; these are the values of the example of keras-mmoe, for every seed. (To
    draw `alpha` and `beta` anew would make 1 % to 80 % of the labels' variance noise.)
    """
    generator = np.random.default_rng(seed)
    weights = weight_vectors(generator, correlation, dimension)
    x = generator.standard_normal((num_samples, dimension))
    projected = x @ weights.T
    sines = np.sin(ALPHA * projected[..., np.newaxis] + BETA).sum(axis=-1)
    y = projected + sines + NOISE_DEVIATION * generator.standard_normal(sines.shape)

    def tasks(train: dict[str, Any]) -> list[Task]:
        return [Regression.from_values(name, train[name]) for name in ("y1", "y2")]

    return from_frame(
        {"x": x, "y1": y[:, 0], "y2": y[:, 1]},
        tasks=tasks,
        inputs={"x": Numeric((dimension,))},
        name="synthetic",
    )


def weight_vectors(
    generator: np.random.Generator, correlation: float, dimension: int
) -> Any:
    """Return `w1` and `w2`, shape `(2, dimension)`, of length `c`."""
    if not 0 <= correlation <= 1:
        raise DataError(
            f"`correlation` must be from 0 to 1. Received: correlation={correlation}."
        )
    if dimension < 2:
        raise DataError(
            "`dimension` must be at least 2, for two directions. "
            f"Received: dimension={dimension}."
        )
    basis = np.linalg.qr(generator.standard_normal((dimension, 2)))[0].T
    mixing = [[1.0, 0.0], [correlation, math.sqrt(1 - correlation**2)]]
    return SCALE * np.array(mixing) @ basis
