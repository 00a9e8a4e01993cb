"""What weights do to the losses on other rows. TensorFlow's alone, as the engine is."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from mtlzoo._losses import sum_over_replicas
from mtlzoo.balancing._batch import split_batch
from mtlzoo.balancing._total import other_losses

_DISTANCE = 0.01
"""How far, in all, the variables are moved to either side to measure slopes.

The authors' choice. On a small convolutional network slopes are right to 1e-3 in
float32, 1e-2 in mixed float16 and 1e-1 in mixed bfloat16, and no distance does better
in all three.
"""


class _Slope(NamedTuple):
    """The gradient of a weighted sum of losses.

    Attributes:
        gradients: one tensor a variable, of all replicas.
        present: boolean tensor of shape `(num_tasks,)`: which tasks have labels.
    """

    gradients: list[Any]
    present: Any


def look_ahead(model: Any, data: Any, supervised: Callable[[Any], Any]) -> None:
    """Tell the weighting of a model what its weights would do.

    With `theta` the variables and `w` the weights, one half of the batch gives `theta'
    = theta - rate sum_i w_i grad L_i(theta)`, and the other the losses `sum_i goal_i
    L_i'(theta')`. These have the derivative `-rate grad L_i(theta) . d` with respect to
    `w_i`, where `d` is their gradient at `theta'`; the product is measured as the
    central difference of `L_i` along `d`, for which one pass forward to either side is
    enough, whatever the number of tasks.

    Nothing in the model changes but the weighting: not the variables, no running
    average, no state of random numbers. So all passes drop the same units.

    Args:
        model: a `MultiTaskModel` whose weighting looks ahead.
        data: what Keras gives a training step.
        supervised: context manager that shows layers the labels of a batch.
    """
    weighting = model.balancing
    variables = model.trainable_variables
    here = [tf.convert_to_tensor(one.value) for one in variables]
    rates = [_rate(model.optimizer, one) for one in variables]
    first, second = split_batch(keras.utils.unpack_x_y_sample_weight(data), 2)
    with supervised(first):
        step = _slope(model, first, here, weighting.weigh, penalized=True)
    ahead = [
        value - rate * gradient
        for value, rate, gradient in zip(here, rates, step.gradients, strict=True)
    ]
    goals = weighting.goals()
    with supervised(second):
        goal = _slope(model, second, ahead, lambda *_: goals)
    direction = [
        rate * gradient for rate, gradient in zip(rates, goal.gradients, strict=True)
    ]
    length = tf.linalg.global_norm(direction)
    size = tf.math.divide_no_nan(_DISTANCE, length)
    with supervised(first):
        above, below = (
            _losses(
                model,
                first,
                [
                    value + sign * size * change
                    for value, change in zip(here, direction, strict=True)
                ],
            )[0]
            for sign in (1.0, -1.0)
        )
    # Where the goal has no slope, as when none of its tasks has labels, it is 0.
    slopes = sum_over_replicas(below - above) * (length / (2 * _DISTANCE))
    wanted = tf.reduce_any(goal.present & (goals != 0))
    weighting.learn(slopes, step.present & wanted)


def _slope(
    model: Any,
    data: Any,
    values: Sequence[Any],
    weigh: Callable[[Any, Any], Any],
    *,
    penalized: bool = False,
) -> _Slope:
    """Return the gradient of the weighted losses where the variables have `values`.

    Args:
        model: a `MultiTaskModel`.
        data: inputs, labels and sample weights.
        values: of the trainable variables.
        weigh: gives the weights, of losses and of which tasks are present.
        penalized: whether the losses that layers add count too.
    """
    scale = tf.cast(model.optimizer.scale_loss(tf.ones(())), "float32")
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        losses, present, penalty = _losses(model, data, values)
        weights = tf.stop_gradient(weigh(sum_over_replicas(losses), present))
        total = tf.reduce_sum(weights * losses)
        if penalized:
            total += penalty
        total *= scale
    found = tape.gradient(total, values, unconnected_gradients="zero")
    # Embeddings have sparse ones.
    found = [tf.convert_to_tensor(one) / tf.cast(scale, one.dtype) for one in found]
    return _Slope(sum_over_replicas(found), present)


def _losses(model: Any, data: Any, values: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Return losses, which tasks are present, and the sum of the model's other losses.

    Args:
        model: a `MultiTaskModel`.
        data: inputs, labels and sample weights.
        values: of the trainable variables.
    """
    x, y, sample_weight = data
    scope = keras.StatelessScope(
        list(zip(model.trainable_variables, values, strict=True)), collect_losses=True
    )
    with scope:
        predictions = model(x, training=True)
        penalty = other_losses(model, x)
        losses, present = model.task_losses(y, predictions, sample_weight, count=False)
        return losses, present, penalty


def _rate(optimizer: Any, variable: Any) -> Any:
    """Return the learning rate of a variable, in its dtype."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        optimizer = optimizer._optimizer_map(variable)
    return tf.cast(optimizer.learning_rate, variable.dtype)
