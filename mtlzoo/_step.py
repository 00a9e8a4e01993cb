"""What happens to a batch: losses, balancing, update, metrics."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from mtlzoo._meters import Meters
from mtlzoo._toggled import follow
from mtlzoo.balancing import Aggregator
from mtlzoo.balancing._total import total_loss, whole_losses
from mtlzoo.sharing._supervision import supervised

# Keras puts its functional class in the place of `keras.Model` among the bases of a
# model's class, so this part of it must not have that base itself.
_Model: Any = keras.Model if TYPE_CHECKING else object


class TrainingStep(_Model):
    """The part of a `MultiTaskModel` that Keras calls on each batch."""

    balancing: Any
    optimizer: Any
    penalties: tuple[Any, ...]
    _meters: Meters
    _stale: bool

    def make_train_function(self, force: bool = False) -> None:
        """Compile the step, again if what is trainable has changed since."""
        follow(self)
        super().make_train_function(force=force or self._stale)
        self._stale = False

    def train_step(self, data: Any) -> dict[str, Any]:
        with supervised(data), untrained_tasks():
            if isinstance(self.balancing, Aggregator):
                from mtlzoo.balancing import _engine  # TensorFlow's alone

                return _engine.train_step(self, data, supervised)
            if self.balancing.observer is not None:
                self.balancing.observer.before_step(self, data)
            if self.balancing.looks_ahead:
                from mtlzoo.balancing import _look_ahead  # TensorFlow's alone

                _look_ahead.look_ahead(self, data, supervised)
            logs = super().train_step(data)
            if self.balancing.uses_losses_after:
                self._tell_losses_after(data)
            return logs

    def _tell_losses_after(self, data: Any) -> None:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        losses = self.task_losses(y, self(x, training=True), sample_weight, count=False)
        self.balancing.after_step(*whole_losses(*losses))

    def test_step(self, data: Any) -> dict[str, Any]:
        with supervised(data):
            return super().test_step(data)

    @property
    def losses(self) -> list[Any]:
        return [*super().losses, *(penalty(self) for penalty in self.penalties)]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*super().metrics, *self._meters.meters]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss that is minimised, and count each task's loss and metrics."""
        # First those of the layers, as `other_losses` says.
        others = super().compute_loss(x, training=training) if self.losses else 0.0
        losses, present = self.task_losses(y, y_pred, sample_weight)
        return total_loss(self.balancing, losses, present, training=training) + others

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        return self.get_metrics_result()

    def task_losses(
        self, y: Any, y_pred: Any, sample_weight: Any = None, *, count: bool = True
    ) -> tuple[Any, Any]:
        """Return each task's weighted loss and whether it has labels.

        Args:
            y: labels by task name; tasks may be absent.
            y_pred: predictions by task name.
            sample_weight: weights by task name, or one tensor for all, or `None`.
            count: whether losses and metrics are added to those of the epoch.

        Returns:
            Two tensors of shape `(num_tasks,)`, in the order of `tasks`: floats, 0
            where a task has no label; and booleans.
        """
        losses, present = self.separate_losses(y, y_pred, sample_weight, count=count)
        return ops.stack(losses), present

    def separate_losses(
        self, y: Any, y_pred: Any, sample_weight: Any = None, *, count: bool = True
    ) -> tuple[list[Any], Any]:
        """Return what `task_losses` does, the losses as a list of scalars.

        Take these for gradients of single tasks: the gradient of one entry of a tensor
        that holds all losses passes, with zeros, through the heads of all tasks.
        """
        return self._meters.losses(y, y_pred, sample_weight, count=count)

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        """Do nothing: all variables of the model, its optimizer and metrics are there.

        Under a distribution strategy Keras's own takes the mean of a batch over the
        replicas to see its shapes, which fails for strings.
        """


@contextlib.contextmanager
def untrained_tasks() -> Iterator[None]:
    """Let a step train some of the variables only, without a warning.

    A task without labels in a batch trains none of its variables: that is what is meant
    to happen, and no mistake to warn of.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Gradients do not exist")
        yield
