import math
from typing import Any

import numpy as np

from mtlzoo._multi_task import require_tasks
from mtlzoo.errors import DataError


def affinity(
    model: Any,
    data: Any,
    *,
    learning_rate: float | None = None,
    batch_size: int = 256,
) -> dict[str, dict[str, float]]:
    """Return how much a step on one task's loss lowers another's, for all pairs.

    `1 - L_j(theta - rate * dL_i/dtheta) / L_j(theta)`, where `theta` are the variables
    that two or more tasks depend on, taken on each batch and averaged. Above 0, a step
    for task `i` helps task `j`; below 0 it hurts. It isn't symmetric. Measure it
    several times while training and average, as the paper does, or once with a model
    that is trained a little.

    The model runs as in inference, and is afterwards as it was before.

    Args:
        model: a `MultiTaskModel`.
        data: a `tf.data.Dataset` of batches, `(x, y)` or `(x, y, sample_weight)`, or a
            tuple of the same as dicts of arrays.
        learning_rate: of the step, above 0. By default that of the model's optimizer.
        batch_size: of data given as arrays, in rows.

    Returns:
        `affinity[i][j]`, by task names: the effect of a step for `i` on `j`. NaN for
        tasks without labels.

    Raises:
        DataError: the model knows of no tasks or they share nothing, there are no data
            or no labels, or the rate is not above 0.

    Example:

    ```python
    found = metrics.affinity(model, train)
    metrics.suggest_groups(found, 2)  # [["click", "buy"], ["price"]]
    ```

    Reference: Christopher Fifty et al., *Efficiently Identifying Task Groupings for
    Multi-Task Learning*, NeurIPS 2021, <https://arxiv.org/abs/2109.04617>.

    Differences from the authors' code: each lookahead is a plain gradient step, not one
    of the optimizer with its momentum, and dropout is off.
    """
    import keras
    import tensorflow as tf  # importing this package must not

    require_tasks(
        model, "Affinity is between the tasks of a multi-task model. Received a"
    )
    if isinstance(data, tuple):
        data = tf.data.Dataset.from_tensor_slices(data).batch(batch_size)
    spec = getattr(data, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise DataError(
            "`data` must be a tf.data.Dataset of batches, (x, y) or (x, y, "
            "sample_weight), or a tuple of the same as dicts of arrays. Received a "
            f"{type(data).__name__}" + (f" of {spec}." if spec is not None else ".")
        )
    names = [task.name for task in model.tasks]
    rate = learning_rate
    if rate is None:
        rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    if not 0 < rate < math.inf:
        raise DataError(f"`learning_rate` must be above 0. Received: {rate}.")
    on_batch = tf.function(
        lambda batch: _on_batch(model, batch, rate), autograph=False
    ).get_concrete_function(spec)
    found = [on_batch(batch).numpy() for batch in data]
    if not found:
        raise DataError("`data` must hold at least one batch. Received: none.")
    known = np.isfinite(found)
    counts = known.sum(axis=0)
    sums = np.where(known, found, 0.0).sum(axis=0, dtype="float64")
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return {
        task: dict(zip(names, row.tolist(), strict=True))
        for task, row in zip(names, means, strict=True)
    }


def _on_batch(model: Any, batch: Any, rate: Any) -> Any:
    """Return the affinities on one batch, `(num_tasks, num_tasks)`."""
    import tensorflow as tf

    x, y, sample_weight = (*batch, None)[:3]

    def losses_of(predictions: Any) -> Any:
        return model.separate_losses(y, predictions, sample_weight, count=False)

    with tf.GradientTape(persistent=True) as tape:
        predictions = model(x, training=False)
        parts, present = losses_of(predictions)
    before = tf.stack(parts)
    variables = model.trainable_variables
    # Of predictions, for the loss of a task without labels depends on no variable.
    slopes = [tape.gradient(predictions[task.name], variables) for task in model.tasks]
    shared = [
        index
        for index in range(len(variables))
        if sum(row[index] is not None for row in slopes) > 1
    ]
    if not shared:
        raise DataError(
            "Affinity is about what tasks share, and the tasks of this model share no "
            "trainable variable. Take a model whose architecture shares."
        )
    gradients = [
        tape.gradient(part, [variables[index] for index in shared]) for part in parts
    ]
    kept = [tf.identity(variables[index].value) for index in shared]
    rows = []
    for row in gradients:
        for index, value, gradient in zip(shared, kept, row, strict=True):
            if gradient is not None:  # embeddings have sparse ones
                step = rate * tf.convert_to_tensor(gradient)
                variables[index].assign(value - step)
        after, _ = losses_of(model(x, training=False))
        rows.append(1.0 - tf.stack(after) / before)
        for index, value in zip(shared, kept, strict=True):
            variables[index].assign(value)
    known = present[:, None] & present[None] & (before != 0)
    return tf.where(known, tf.stack(rows), float("nan"))
