import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from typing import Any, ClassVar

import keras
from keras import ops

from mtlzoo._config import Configured
from mtlzoo.errors import TaskError

NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_name(name: object, owner: str, error: type[Exception] = TaskError) -> str:
    """Return `name` if it can name a task or an input, else raise `error`.

    A name becomes a key of dicts, a part of variable paths and a name in serving
    signatures; this pattern is what all of them take.
    """
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        plain = (
            re.sub(r"[^A-Za-z0-9_]+", "_", f"{name}").strip("_") or owner.split()[-1]
        )
        near = plain if NAME_PATTERN.fullmatch(plain) else f"_{plain}"
        raise error(
            f"The name of {owner} must start with a letter or underscore and hold "
            f"only letters, digits and underscores; rename it, such as {near!r}. "
            f"Received: {name!r}."
        )
    return name


class Task(Configured, ABC):
    """One thing to predict.

    A task says how its predictions look, how its labels look, what marks a label as
    missing, and what to optimise and report. It holds no weights: a head does.

    A label that is NaN is missing; so is one that equals `missing`, where the task
    declares it. A missing label adds nothing to the loss, to a gradient or to a metric.
    The loss is the weighted mean over the labels that are there.

    With the default loss and metrics, each single value counts by itself. With a loss
    or metrics of your own, these are called as Keras calls them, on whole rows; a row
    then counts when all of its labels are there.

    Args:
        name: of the task; matches `[A-Za-z_][A-Za-z0-9_]*`. Outputs, losses, metrics,
            labels and serving signatures carry it.
        loss_weight: what the loss is multiplied by, before any balancing.
        loss: a Keras loss, its name, or a function `(y_true, y_pred)` that returns
            one value a row. `None` takes the default of this kind.
        metrics: a list of Keras metrics or their names. `None` takes the defaults.
        class_weight: the weight of each class index, such as `{0: 1.0, 1: 5.0}`;
            classes that are absent from it weigh 1.
        missing: the value that marks a missing label, besides NaN.
    """

    reads: ClassVar[str] = "pooled"
    """The kind of features a head for this task reads: pooled, sequence or map."""

    has_classes: ClassVar[bool] = False
    """Whether predictions have one axis more than labels: one entry a class."""

    default_loss: ClassVar[Callable[..., Any]]

    headline: ClassVar[tuple[str, bool]]
    """The metric that comparisons report, and whether more of it is better."""

    def __init__(
        self,
        name: str,
        *,
        loss_weight: float,
        loss: Any,
        metrics: list[Any] | None,
        class_weight: Mapping[int, float] | None,
        missing: int | float | None,
    ) -> None:
        self.name = check_name(name, "a task")
        if not (math.isfinite(loss_weight) and loss_weight >= 0):
            raise TaskError(
                f"`loss_weight` of task {name!r} must be a finite number of at least "
                f"0. Received: loss_weight={loss_weight}."
            )
        self.loss_weight = float(loss_weight)
        self.loss = loss
        if isinstance(loss, str):
            try:
                keras.losses.get(loss)
            except ValueError as error:
                raise TaskError(
                    f"`loss` of task {name!r} must be a loss of Keras, its name, or a "
                    f"function. Received: loss={loss!r}."
                ) from error
        self.metrics = metrics
        self.class_weight = _class_weights(name, class_weight)
        self.missing = missing
        if self.class_weight and self.num_labels is None:
            raise TaskError(
                f"`class_weight` needs classes, which {type(self).__name__} "
                f"{name!r} doesn't have. Use sample weights instead."
            )
        known = range(self.num_labels or 0)
        if unknown := sorted(set(self.class_weight or ()) - set(known)):
            raise TaskError(
                f"`class_weight` of task {name!r} names class {unknown[-1]}, but there "
                f"are {self.num_labels} classes, from 0 to {len(known) - 1}."
            )

    # What a head must produce.

    @property
    @abstractmethod
    def units(self) -> int:
        """How many numbers a head gives `activate`, on the last axis."""

    @abstractmethod
    def activate(self, logits: Any, name: str) -> Any:
        """Turn a head's float32 output into predictions; layers start with `name`."""

    # The label contract.

    @property
    @abstractmethod
    def prediction_shape(self) -> tuple[int | None, ...]:
        """Shape of one row of predictions, `None` where only the inputs decide."""

    @property
    def label_shape(self) -> tuple[int | None, ...]:
        """Shape of one row of labels; a last axis of size 1 may be left out."""
        shape = self.prediction_shape
        return shape[:-1] if self.has_classes else shape

    @property
    def num_labels(self) -> int | None:
        """How many label indices there are, for tasks whose labels are classes."""
        return None

    @abstractmethod
    def out_of_range(self, labels: Any) -> Any:
        """Return, for each label, whether its value breaks the contract."""

    @property
    @abstractmethod
    def expected_range(self) -> str:
        """The values a label may take, in words, for messages."""

    def as_labels(self, values: Any, predictions: Any) -> Any:
        """Return float32 labels, with the axes that the predictions of a row have."""
        labels = ops.cast(values, "float32")
        rank = len(predictions.shape) - (1 if self.has_classes else 0)
        if len(labels.shape) == rank - 1:
            return ops.expand_dims(labels, -1)
        if len(labels.shape) == rank + 1:
            return ops.squeeze(labels, -1)
        return labels

    def labelled(self, labels: Any) -> Any:
        """Return, for each label, whether it is there."""
        present = ops.logical_not(ops.isnan(labels))
        if self.missing is not None:
            present = ops.logical_and(present, ops.not_equal(labels, self.missing))
        return present

    # Loss and metrics.

    def row_losses(self, labels: Any, predictions: Any) -> Any:
        """Return the loss of each label (default loss) or each row (your own)."""
        if self.loss is None:
            function = self.default_loss
            # A loss of Keras takes the mean over the last axis: give it one of size 1.
            # A single prediction is passed as it is, since Keras then finds the logits
            # behind the activation, which is exact where probabilities are extreme.
            if not self.has_classes and predictions.shape[-1] != 1:
                labels = ops.expand_dims(labels, -1)
                predictions = ops.expand_dims(predictions, -1)
            return function(labels, predictions)
        loss = keras.losses.get(self.loss)
        function = loss.call if isinstance(loss, keras.losses.Loss) else loss
        return function(labels, predictions)

    def class_weights(self, labels: Any) -> Any:
        """Return the weight of each label's class; `labels` has no missing ones."""
        table = [
            (self.class_weight or {}).get(index, 1.0)
            for index in range(self.num_labels or 0)
        ]
        return ops.take(
            ops.convert_to_tensor(table, "float32"), ops.cast(labels, "int32")
        )

    def default_metrics(self) -> list[keras.metrics.Metric]:
        """Return new metrics of the kinds the field reports for this task."""
        return []

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Return this task's metrics, each named after the metric alone."""
        if self.metrics is None:
            return self.default_metrics()
        made = []
        for identifier in self.metrics:
            metric = keras.metrics.get(identifier)
            if isinstance(identifier, keras.metrics.Metric):
                # A fresh one, so that two compiled models don't share its state.
                metric = type(metric).from_config(metric.get_config())
            elif not isinstance(metric, keras.metrics.Metric):
                metric = keras.metrics.MeanMetricWrapper(
                    metric, name=getattr(metric, "__name__", str(identifier))
                )
            made.append(metric)
        return made


def class_names(name: str, classes: Any) -> tuple[int, list[str] | None]:
    """Split `classes`, a count or a list of names, into both; refuse fewer than 2."""
    if isinstance(classes, str) or not isinstance(classes, Integral | Iterable):
        raise TaskError(
            f"`classes` of task {name!r} must be how many there are, or a list of "
            f"their names. Received: {classes!r}."
        )
    names = None
    if isinstance(classes, Integral):
        count = int(classes)
    else:
        names = [str(one) for one in classes]
        count = len(names)
        if len(set(names)) != count:
            raise TaskError(f"The class names of task {name!r} must differ: {names}.")
    if count < 2:
        raise TaskError(
            f"`classes` of task {name!r} must be at least 2. Received: {count}."
        )
    return count, names


def _class_weights(name: str, class_weight: Any) -> dict[int, float] | None:
    if not class_weight:
        return None
    try:
        # JSON turns integer keys into strings; configs come back with them.
        weights = {int(one): float(weight) for one, weight in class_weight.items()}
    except (AttributeError, TypeError, ValueError):
        weights = {0: math.nan}
    if not all(math.isfinite(one) and one >= 0 for one in weights.values()):
        raise TaskError(
            f"`class_weight` of task {name!r} must be a dict of weights of at least 0 "
            f"by class index, such as {{1: 5.0}}. Received: {class_weight!r}."
        )
    return weights


def not_a_class(labels: Any, count: int) -> Any:
    """Return, for each label, whether it is no integer from 0 to `count` - 1."""
    return ops.logical_or(
        ops.logical_or(labels < 0, labels >= count),
        ops.not_equal(labels, ops.floor(labels)),
    )
