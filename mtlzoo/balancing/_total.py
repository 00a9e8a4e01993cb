import functools
from typing import Any

import keras
from keras import ops

from mtlzoo._losses import sum_over_replicas
from mtlzoo.balancing._base import Balancing, Weighting


def total_loss(
    balancing: Balancing, losses: Any, present: Any, *, training: bool
) -> Any:
    """Return the scalar that a model reports and, with a weighting, minimises.

    While evaluating, and with an aggregation, it is the plain sum of the losses: so
    `val_loss` of different methods can be compared, and no state changes.

    Args:
        balancing: of the model.
        losses: tensor of shape `(num_tasks,)`; summed over the replicas of a
            distribution strategy, the losses of the whole batch.
        present: boolean tensor of shape `(num_tasks,)`, the same on all replicas.
        training: whether this is a training step.

    Returns:
        A scalar; summed over replicas, the total of the whole batch.
    """
    if not training or not isinstance(balancing, Weighting):
        return ops.sum(losses)
    observer = balancing.observer
    total = balancing.total
    if observer is not None:
        total = functools.partial(observer.total, balancing)
    count = replicas()
    if count == 1:
        return total(losses, present)
    # A method must see the losses of the whole batch. Their gradient is that of this
    # replica's part, times the number of replicas because the result is divided by it;
    # so what the method learns gets its gradient once, not once a replica.
    part = count * losses
    whole = part + ops.stop_gradient(sum_over_replicas(losses) - part)
    return total(whole, present) / count


def other_losses(model: Any, x: Any) -> Any:
    """Return the sum of the losses that layers add, as Keras counts them.

    Call it right after the forward pass. Replicas wait for each other where they sum
    the losses of tasks, and the pass of another one forgets what layers have added.
    """
    if not model.losses:
        return ops.zeros(())
    return keras.Model.compute_loss(model, x, training=True)


def whole_losses(losses: Any, present: Any) -> tuple[Any, Any]:
    """Return the losses of the whole batch, and which tasks are present in it."""
    return sum_over_replicas(losses), present


def replicas() -> int:
    """Return how many replicas train in step."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)
