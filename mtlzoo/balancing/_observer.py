"""What a training step shows of its balancing. TensorFlow's alone, as the engine is."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo._losses import sum_over_replicas
from mtlzoo.balancing._aggregator import gramian_of
from mtlzoo.balancing._base import Weighting
from mtlzoo.balancing._gradients import Rows
from mtlzoo.balancing._prepare import shared_part, shared_variables
from mtlzoo.balancing._total import replicas


class Observer:
    """Keeps the weights, and the Gramian of the gradients, of the steps that it is
    asked to watch.

    While a model's `balancing.observer` is one, its compiled step writes here; else the
    step holds nothing of this. With an aggregation the gradients are those that the
    method itself gets, before loss normalisation: of the shared variables or, in
    `representation` mode, of the tensors where the graph leaves the shared part. With
    a weighting, which takes no gradient a task, a watched step takes those of the
    shared variables, before the update; what that forward pass changes (running
    averages, the states of random numbers) is put back.

    Args:
        model: a `MultiTaskModel`.
    """

    def __init__(self, model: Any) -> None:
        count = len(model.tasks)
        with model.distribute_strategy.scope():
            self._watching = _variable((), "bool")
            self._weights = _variable((count,), "float32")
            self._gramian = _variable((count, count), "float32")
            self._present = _variable((count,), "bool")
        self._asking: set[Any] = set()
        self._by_rows = getattr(model.balancing, "gradients", "") == "representation"

    # In the graph.

    def before_step(self, model: Any, data: Any) -> None:
        """Called before the step of a weighting: take the gradients, if watching."""
        if not isinstance(model.balancing, Weighting):
            return
        # Now, since what is trainable may have changed between two traces.
        if shared := shared_variables(model, shared_part(model)):
            self._if_watching(
                lambda: self._gramian.assign(self._measure(model, data, shared))
            )
        else:
            self._forget_gradients()

    def total(self, weighting: Weighting, losses: Any, present: Any) -> Any:
        """Return the total of a weighting, and keep its slope: the weights."""
        with tf.GradientTape() as tape:
            tape.watch(losses)
            total = weighting.total(losses, present)
        self._keep(tape.gradient(total, losses), present)
        return total

    def aggregated(
        self, jacobians: list[Any], weights: Any, present: Any, reduce: Any
    ) -> None:
        """Keep the weights and the gradients of an aggregation.

        Args:
            jacobians: one for each part of the batch. In `representation` mode they
                are of different rows, and the one that the update is made of counts.
            weights: tensor of shape `(num_tasks,)`.
            present: boolean tensor of shape `(num_tasks,)`.
            reduce: sums over replicas, as in `Aggregator.aggregate`.
        """
        self._keep(weights, present)
        if jacobians[0]:
            blocks = jacobians[-1]
            if not self._by_rows:
                together = zip(*jacobians, strict=True)
                blocks = [sum(one) / len(jacobians) for one in together]
            self._if_watching(lambda: self._gramian.assign(reduce(gramian_of(blocks))))
        else:
            self._forget_gradients()

    def _keep(self, weights: Any, present: Any) -> None:
        self._weights.assign(tf.cast(weights, "float32"))
        self._present.assign(present)

    def _forget_gradients(self) -> None:
        self._gramian.assign(tf.fill(self._gramian.shape, float("nan")))

    def _if_watching(self, act: Callable[[], Any]) -> None:
        # Replicas can't talk to each other inside a branch.
        if replicas() > 1:
            act()
        else:
            tf.cond(self._watching.value, lambda: (act(), True)[1], lambda: False)

    def _measure(self, model: Any, data: Any, shared: list[Any]) -> Any:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        scale = tf.cast(model.optimizer.scale_loss(tf.ones(())), "float32")
        changed = model.non_trainable_variables
        before = [tf.identity(one.value) for one in changed]
        with tf.GradientTape(persistent=True) as tape:
            predictions = model(x, training=True)
            losses, _ = model.separate_losses(
                y, predictions, sample_weight, count=False
            )
            scaled = [loss * scale for loss in losses]
        for variable, value in zip(changed, before, strict=True):
            variable.assign(value)
        shapes = [one.shape for one in shared]
        rows = Rows(len(scaled), shapes, scale, by_xla=bool(model.jit_compile))
        for task, loss in enumerate(scaled):
            rows.write(task, tape.gradient(loss, shared))
        return gramian_of([sum_over_replicas(block) for block in rows.blocks])

    # Outside the graph.

    def ask(self, who: Any, watching: bool) -> None:
        """Ask for the next step to be watched, or no longer: it is if anyone asks."""
        before = bool(self._asking)
        (self._asking.add if watching else self._asking.discard)(who)
        if bool(self._asking) != before:
            self._watching.assign(not before)

    def read(self) -> tuple[Any, Any, Any]:
        """Return weights, gradient norms and cosines as last watched.

        Shapes `(num_tasks,)`, `(num_tasks,)` and `(num_tasks, num_tasks)`; NaN for
        tasks without labels in that batch, for gradients that overflowed, and for the
        cosines of zero gradients.
        """
        convert = keras.ops.convert_to_numpy
        present = convert(self._present)
        both = present[:, None] & present[None]
        weights = np.where(present, convert(self._weights), np.nan)
        gramian = convert(self._gramian).astype("float64")
        gramian = np.where(both & np.isfinite(gramian), gramian, np.nan)
        norms = np.sqrt(np.maximum(np.diagonal(gramian), 0.0))
        inverse = np.where(norms > 0, 1.0 / np.where(norms > 0, norms, 1.0), np.nan)
        cosines = np.clip(inverse[:, None] * gramian * inverse, -1.0, 1.0)
        return weights, norms, cosines


def attach(model: Any) -> Observer:
    """Return what observes the step of `model`, from the next batch on if it is new."""
    if model.balancing.observer is None:
        model.balancing.observer = Observer(model)
        model.make_train_function(force=True)
    observer: Observer = model.balancing.observer
    return observer


def detach(model: Any) -> None:
    """Make the step of `model` the plain one again, if it is observed."""
    if model.balancing.observer is not None:
        model.balancing.observer = None
        model.make_train_function(force=True)


def _variable(shape: tuple[int, ...], dtype: str) -> keras.Variable:
    return keras.Variable(
        "zeros", shape=shape, dtype=dtype, trainable=False, aggregation="none"
    )
