"""The loss of each task on one batch: the weighted mean over its labels."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
from keras import ops

from mtlzoo.tasks import Task


class TaskLoss(NamedTuple):
    """One task's part of a batch.

    Attributes:
        loss: scalar. Summed over the replicas of a distribution strategy it is the
            weighted mean over all their labels.
        present: scalar boolean: whether any label is there, on any replica.
        mean: scalar: the weighted mean over this replica's labels.
        weight: scalar: what this replica's labels weigh together.
        labels, label_present, label_weights: for the metrics.
    """

    loss: Any
    present: Any
    mean: Any
    weight: Any
    labels: Any
    label_present: Any
    label_weights: Any


def task_loss(task: Task, values: Any, predictions: Any, weights: Any) -> TaskLoss:
    """Return the loss of `task` on a batch.

    `sum(w * l) / sum(w)`, where `l` is the loss of a label and `w` is its row's sample
    weight times its class's weight, and 0 for a missing label. Differs from Keras's
    default, which divides by the number of rows: there, a batch of which one row in
    four is labelled has a quarter of the loss.

    Args:
        task: the task.
        values: its labels, as the caller passed them.
        predictions: of the model.
        weights: one a row, or one a label, or `None`.
    """
    labels = task.as_labels(values, predictions)
    there = task.labelled(labels)
    labels = ops.where(there, labels, ops.zeros_like(labels))
    present = ops.cast(there, "float32")
    label_weights = present
    if weights is not None:
        label_weights = label_weights * _spread(weights, present)
    if task.class_weight:
        row_weights = label_weights * task.class_weights(labels)
    else:
        row_weights = label_weights
    losses = task.row_losses(labels, predictions)
    if len(losses.shape) < len(row_weights.shape):
        row_weights = whole_rows(row_weights)
    total = ops.sum(losses * row_weights)
    weight = ops.sum(row_weights)
    whole = sum_over_replicas(weight)
    return TaskLoss(
        loss=ops.divide_no_nan(total, whole),
        present=whole > 0,
        mean=ops.divide_no_nan(total, weight),
        weight=weight,
        labels=labels,
        label_present=present,
        label_weights=label_weights,
    )


def sum_over_replicas(value: Any) -> Any:
    """Return the sum of `value` over the replicas of a TensorFlow strategy."""
    if keras.backend.backend() != "tensorflow":
        return value
    import tensorflow as tf

    if not tf.distribute.has_strategy() or tf.distribute.in_cross_replica_context():
        return value
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def whole_rows(weights: Any) -> Any:
    """Return the weight of each row, given that of its entries: all must be there."""
    if weights.shape[-1] == 1:
        return ops.squeeze(weights, -1)
    return ops.min(weights, axis=-1)


def weights_of(task: Task, sample_weight: Any) -> Any:
    """Return the part of `sample_weight` that is for `task`, or `None`."""
    if isinstance(sample_weight, Mapping):
        return sample_weight.get(task.name)
    return sample_weight


def _spread(weights: Any, like: Any) -> Any:
    """Shape row weights so that they multiply labels."""
    weights = ops.cast(weights, "float32")
    while len(weights.shape) > len(like.shape):
        weights = ops.squeeze(weights, -1)
    while len(weights.shape) < len(like.shape):
        weights = ops.expand_dims(weights, -1)
    return weights
