"""The training step of aggregations. TensorFlow's alone: it needs gradients a task."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from mtlzoo import _graph
from mtlzoo._losses import sum_over_replicas
from mtlzoo.balancing._aggregator import Aggregator, unreduced
from mtlzoo.balancing._batch import split_batch
from mtlzoo.balancing._gradients import GradientSum, Rows, is_one
from mtlzoo.balancing._prepare import shared_part, shared_variables
from mtlzoo.balancing._shared import SharedPart
from mtlzoo.balancing._total import other_losses, replicas


class _Pass(NamedTuple):
    """What the backward passes over one part of a batch gave.

    Attributes:
        jacobian: blocks of shape `(num_tasks, block_size)`, without the loss scale.
        own: for each task, variables that the method doesn't combine, and their
            gradients.
        through: adds to a `GradientSum` what an update of the blocks does to variables.
        losses: tensor of shape `(num_tasks,)`, of this replica.
        present: boolean tensor of shape `(num_tasks,)`, of all replicas.
        penalty: scalar: the sum of the model's other losses.
    """

    jacobian: list[Any]
    own: list[list[tuple[Any, Any]]]
    through: Callable[[Sequence[Any], GradientSum], None]
    losses: Any
    present: Any
    penalty: Any


def train_step(
    model: Any, data: Any, supervised: Callable[[Any], Any]
) -> dict[str, Any]:
    """Make one update of a multi-task model whose balancing is an aggregation.

    Gradients are taken of the losses times the loss scale, as in Keras's own step; the
    method sees them without it. Over replicas, in `parameters` mode each task's
    gradient is summed before the method sees it, in `representation` mode the Gramian
    is.

    Args:
        model: a `MultiTaskModel`.
        data: what Keras gives a training step.
        supervised: context manager that shows layers the labels of a batch.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    aggregator: Aggregator = model.balancing
    part = shared_part(model)
    scale = tf.cast(model.optimizer.scale_loss(tf.ones(())), "float32")
    by_parameters = aggregator.gradients == "parameters"
    backward = _by_parameters if by_parameters else _by_representation
    passes = []
    for one in split_batch(
        (x, y, sample_weight), aggregator.num_samples, none_empty=True
    ):
        with supervised(one):
            passes.append(backward(model, part, one, scale))
    losses = sum(one.losses for one in passes) / len(passes)
    present = tf.reduce_any(tf.stack([one.present for one in passes]), axis=0)
    whole = sum_over_replicas(losses)

    jacobian: Any = [one.jacobian for one in passes]
    gradients = GradientSum()
    if jacobian[0]:
        updates, weights = aggregator.aggregate(
            jacobian[0] if len(passes) == 1 else jacobian,
            whole,
            present,
            unreduced if by_parameters else sum_over_replicas,
        )
        if not is_one(scale):
            updates = [scale * update for update in updates]
        passes[-1].through(updates, gradients)
    else:  # all that is shared is frozen
        weights = tf.cast(present, whole.dtype)

    if aggregator.observer is not None:
        aggregator.observer.aggregated(
            jacobian,
            weights,
            present,
            unreduced if by_parameters else sum_over_replicas,
        )

    heads = _head_weights(aggregator, weights, whole, present, scale, gradients)
    for one in passes:
        for task, pairs in enumerate(one.own):
            for variable, gradient in pairs:
                share = weights if part.is_shared(variable) else heads
                gradients.add(variable, gradient, share[task] / len(passes))
    variables = model.trainable_variables
    model.optimizer.apply_gradients(gradients.pairs(variables))

    total = tf.reduce_sum(losses) + sum(one.penalty for one in passes) / len(passes)
    size = tf.shape(keras.tree.flatten(x)[0])[0]
    model._loss_tracker.update_state(total * replicas(), sample_weight=size)
    return model.get_metrics_result()


def _by_parameters(model: Any, part: SharedPart, data: Any, scale: Any) -> _Pass:
    """Take the gradients of the shared variables, one backward pass a task."""
    x, y, sample_weight = data
    shared = shared_variables(model, part)
    own = [
        [one for one in variables if one.trainable and not part.is_shared(one)]
        for variables in part.own
    ]
    with tf.GradientTape(persistent=True) as tape:
        predictions = model(x, training=True)
        penalty = other_losses(model, x)
        scaled_penalty = penalty * scale
        losses, present = model.separate_losses(y, predictions, sample_weight)
        scaled = [loss * scale for loss in losses]

    shapes = [one.shape for one in shared]
    rows = Rows(len(scaled), shapes, scale, by_xla=bool(model.jit_compile))
    behind = []
    for task, (loss, variables) in enumerate(zip(scaled, own, strict=True)):
        # One task after the other, so that the gradients of one are held at a time.
        with tf.control_dependencies(rows.blocks):
            found = tape.gradient(loss, [*shared, *variables])
        rows.write(task, found[: len(shared)])
        behind.append(list(zip(variables, found[len(shared) :], strict=True)))
    jacobian = [sum_over_replicas(block) for block in rows.blocks]

    def through(updates: Sequence[Any], total: GradientSum) -> None:
        for variable, update in zip(shared, updates, strict=True):
            # The optimizer sums over replicas, and each has the whole of it.
            total.add(variable, tf.reshape(update, variable.shape), 1 / replicas())
        if model.losses:
            variables = model.trainable_variables
            found = tape.gradient(scaled_penalty, variables)
            for variable, gradient in zip(variables, found, strict=True):
                total.add(variable, gradient)

    return _Pass(jacobian, behind, through, tf.stack(losses), present, penalty)


def _by_representation(model: Any, part: SharedPart, data: Any, scale: Any) -> _Pass:
    """Take the gradients of the tensors where the graph leaves the shared part.

    The heads are passed once a task, the trunk once: with the update of the tensors.
    """
    x, y, sample_weight = data
    own = [[one for one in variables if one.trainable] for variables in part.own]
    trunk = [one for one in part.trunk if one.trainable]
    with tf.GradientTape(persistent=True) as tape:
        inputs = _graph.flat_inputs(model, x)
        with _graph.one_call(model):
            predictions, cuts = part.run(inputs, tape.watch)
        penalty = other_losses(model, x)
        scaled_penalty = penalty * scale
        losses, present = model.separate_losses(y, predictions, sample_weight)
        scaled = [loss * scale for loss in losses]
    before, behind = [one for one, _ in cuts], [one for _, one in cuts]

    shapes = [tf.shape(one) for one in behind]
    rows = Rows(len(scaled), shapes, scale, by_xla=bool(model.jit_compile))
    pairs = []
    for task, (loss, variables) in enumerate(zip(scaled, own, strict=True)):
        found = tape.gradient(loss, [*behind, *variables])
        rows.write(task, found[: len(cuts)])
        pairs.append(list(zip(variables, found[len(cuts) :], strict=True)))

    def through(updates: Sequence[Any], total: GradientSum) -> None:
        updates = [
            tf.cast(tf.reshape(update, tf.shape(one)), one.dtype)
            for update, one in zip(updates, behind, strict=True)
        ]
        if model.losses:
            variables = model.trainable_variables
            found = tape.gradient(scaled_penalty, [*variables, *behind])
            for variable, gradient in zip(variables, found, strict=False):
                total.add(variable, gradient)
            updates = [
                update if extra is None else update + extra
                for update, extra in zip(updates, found[len(variables) :], strict=True)
            ]
        found = tape.gradient(before, trunk, output_gradients=updates)
        for variable, gradient in zip(trunk, found, strict=True):
            total.add(variable, gradient)

    return _Pass(rows.blocks, pairs, through, tf.stack(losses), present, penalty)


def _head_weights(
    aggregator: Aggregator,
    weights: Any,
    losses: Any,
    present: Any,
    scale: Any,
    gradients: GradientSum,
) -> Any:
    """Return how much each task's loss counts for what is its own."""
    if aggregator.heads is None:
        return weights if aggregator.weighs_losses else tf.cast(present, losses.dtype)
    learned = aggregator.heads.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(losses)
        total = aggregator.heads.total(losses, present)
    slope, *found = tape.gradient(total, [losses, *learned])
    for variable, gradient in zip(learned, found, strict=True):
        gradients.add(variable, gradient, scale / replicas())
    return slope
