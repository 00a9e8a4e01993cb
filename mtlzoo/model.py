"""The model class: a functional Keras model that knows its tasks."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras

from mtlzoo import _data, _trainable, balancing as balancing_package
from mtlzoo._functional import outputs_by_task
from mtlzoo._meters import Meters
from mtlzoo._step import TrainingStep
from mtlzoo._toggled import follow, hold, trained
from mtlzoo.balancing._hooks import with_epoch_hooks
from mtlzoo.balancing._prepare import prepare
from mtlzoo.errors import ExportError, LabelError, TaskError
from mtlzoo.sharing._report import sharing_report
from mtlzoo.tasks import Task, change_tasks, check_tasks

__all__ = ["MultiTaskModel"]


@keras.saving.register_keras_serializable("mtlzoo")
class MultiTaskModel(TrainingStep, keras.Model):
    """A functional Keras model with one output a task, keyed by the task's name.

    Made by `mtlzoo.build`, or from any multi-output functional model by
    `MultiTaskModel.from_functional`. It trains, evaluates, predicts, saves and loads as
    every Keras model does, and in addition:

    - labels may be missing: NaN, a task's own `missing` value, or no key in `y` at all;
    - sample weights may be given for some of the tasks only;
    - `balancing` combines the tasks' losses or gradients;
    - inputs may be NumPy arrays of strings and dates, or a data frame.

    Logs and history hold `loss` (what is minimised), and for each task `<task>_loss`
    (before weighting) and `<task>_<metric>`.

    Attributes:
        tasks: the tasks, in order.
        balancing: how their losses or gradients are combined.
        penalties: functions of the model's weights that an architecture adds to the
            loss, such as a distance between the networks of two tasks.
    """

    # Keras revives a functional subclass only if its constructor has this signature.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        tasks = kwargs.pop("tasks", ())
        penalties = kwargs.pop("penalties", ())
        super().__init__(*args, **kwargs)
        self.tasks = tuple(tasks)
        self.penalties = tuple(penalties)
        self.balancing: Any = None
        self._meters = Meters()

    @classmethod
    def from_functional(
        cls,
        model: keras.Model,
        tasks: Sequence[Task],
        *,
        balancing: Any = None,
        optimizer: Any = "adam",
        **compile_options: Any,
    ) -> Self:
        """Return a multi-task model that has the layers and weights of `model`.

        Args:
            model: a functional model whose outputs are a dict keyed by the tasks'
                names, or a list in the order of `tasks`.
            tasks: one for each output; their activation is the model's own affair.
            balancing: a name of `mtlzoo.list_balancing()` or an object.
            optimizer: a Keras optimizer or its name.
            **compile_options: other arguments of `compile`.

        Raises:
            TaskError: the outputs don't match the tasks.
        """
        tasks = check_tasks(tasks)
        outputs = outputs_by_task(model, tasks)
        inputs = {tensor.name: tensor for tensor in model.inputs}
        made = cls(
            inputs,
            outputs,
            name=model.name,
            tasks=tasks,
        )
        made.compile(optimizer, balancing=balancing, **compile_options)
        return made

    # Compiling, and the config that a saved model carries.

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Mapping[str, Any] | None = None,
        loss_weights: Mapping[str, float] | None = None,
        metrics: Mapping[str, list[Any]] | None = None,
        weighted_metrics: Mapping[str, list[Any]] | None = None,
        balancing: Any = None,
        jit_compile: bool = False,
        **kwargs: Any,
    ) -> None:
        """Set how the model trains; `build` has called this already.

        Args:
            optimizer: a Keras optimizer or its name.
            loss: for some of the tasks, a loss in place of the task's own.
            loss_weights: likewise, loss weights.
            metrics: likewise, lists of metrics.
            weighted_metrics: more metrics, which take sample weights into account.
            balancing: a name of `mtlzoo.list_balancing()`, an object, or `None` for the
                plain sum of the weighted losses.
            jit_compile: whether to use XLA; on a CPU it makes convolutions slower.
            **kwargs: other arguments of `keras.Model.compile`.

        Raises:
            TaskError: the model has no tasks.
        """
        if not self.tasks:
            raise TaskError(
                f"{self.name!r} has no tasks to train. keras.models.clone_model leaves "
                "them out: copy a model by type(model).from_config(model.get_config()),"
                " which makes new weights, too. To make one, give them: "
                "MultiTaskModel(inputs, outputs, tasks=[...])."
            )
        changes = {"loss": loss, "loss_weight": loss_weights, "metrics": metrics}
        self.tasks = change_tasks(self.tasks, changes)
        self._weighted_metrics = {**(weighted_metrics or {})}
        self._options = kwargs
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        hold(self, balancing_package.get(balancing))
        prepare(self.balancing, self)
        self.optimizer.build(self.trainable_variables)
        self._trained = trained(self)
        self._stale = False
        self._meters = Meters(self.tasks, self._weighted_metrics)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["tasks"] = [
            keras.saving.serialize_keras_object(task) for task in self.tasks
        ]
        config["penalties"] = [
            keras.saving.serialize_keras_object(one) for one in self.penalties
        ]
        config["trained"] = _trainable.state(self)
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        config = dict(config)
        tasks = config.pop("tasks", [])
        penalties = config.pop("penalties", [])
        state = config.pop("trained", {})
        model = super().from_config(config, custom_objects=custom_objects)
        revive = keras.saving.deserialize_keras_object
        model.tasks = tuple(revive(one) for one in tasks)
        model.penalties = tuple(revive(one) for one in penalties)
        _trainable.restore(model, state)
        return model

    def get_compile_config(self) -> dict[str, Any]:
        if not self.compiled:
            return {}
        follow(self)  # the optimizer is saved for what is trainable now
        return {
            key: keras.saving.serialize_keras_object(value)
            for key, value in {
                "optimizer": self.optimizer,
                "weighted_metrics": self._weighted_metrics,
                "balancing": self.balancing,
                "jit_compile": bool(self.jit_compile),
                **self._options,
            }.items()
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))

    # Data in, as people have it.

    def fit(  # noqa: D417 (Keras documents the others)
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        *,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train the model, as `keras.Model.fit`; see there for the other arguments.

        Args:
            x: a dict of arrays by input name, a data frame, a `tf.data.Dataset` or
                generator of `(x, y)` or `(x, y, sample_weight)`, or whatever else Keras
                takes.
            y: a dict of arrays by task name, or a data frame. Tasks may be absent. The
                names of classes can be labels where the task knows them.
            sample_weight: a dict of arrays by task name, where tasks may be absent, or
                one array for all tasks.
            class_weight: must be `None`: class weights belong to a task.

        Raises:
            DataError: inputs are missing or have the wrong shape.
            LabelError: labels have the wrong name, shape or range.
        """
        if class_weight is not None:
            raise LabelError(
                "Class weights belong to a task, since the classes of tasks differ: "
                "tasks.Binary('click', class_weight={1: 5.0})."
            )
        if validation_data is not None:
            validation_data = _data.prepare_validation(self, validation_data)
        x, y, sample_weight = _data.prepare(self, x, y, sample_weight)
        with _data.running():
            return super().fit(
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                validation_data=validation_data,
                # Keras warns of its own default when it is given a data set.
                shuffle=shuffle and not _data.is_dataset(x),
                sample_weight=sample_weight,
                callbacks=with_epoch_hooks(kwargs.pop("callbacks", None)),
                **kwargs,
            )

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return losses and metrics, as `keras.Model.evaluate`; data as in `fit`."""
        x, y, weights = _data.prepare(self, x, y, kwargs.pop("sample_weight", None))
        with _data.running():
            return super().evaluate(x, y, *args, sample_weight=weights, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return predictions by task name, as `keras.Model.predict`."""
        x, _, _ = _data.prepare(self, x, labelled=False)
        return super().predict(x, *args, **kwargs)

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Write the model to a `.keras` file, as `keras.Model.save`.

        Raises:
            ExportError: the file is to be HDF5, whose loader doesn't know of models
                that aren't Keras's own.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ExportError(
                "A MultiTaskModel can't be read again from an HDF5 file. Write a "
                f"'.keras' file, or weights by `save_weights`. Received: {filepath}."
            )
        super().save(filepath, *args, **kwargs)

    # Looking inside.

    @property
    def representation_model(self) -> keras.Model:
        """A model of the same layers that gives each task's representation."""
        tensors = {
            task.name: self.get_layer(f"representation.{task.name}").output
            for task in self.tasks
        }
        return keras.Model(self.input, tensors, name=f"{self.name}.representations")

    def representations(self, x: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the representation of each task, by task name, for the rows of `x`.

        Args:
            x: inputs, as for `predict`.
            **kwargs: other arguments of `predict`.
        """
        x, _, _ = _data.prepare(self, x, labelled=False)
        return self.representation_model.predict(x, **kwargs)

    def sharing_report(self, x: Any, **options: Any) -> dict[str, Any]:
        """Return how the tasks share, as tables; see `mtlzoo.sharing.sharing_report`.

        Args:
            x: inputs, as for `predict`.
            **options: other arguments of that function.
        """
        x, _, _ = _data.prepare(self, x, labelled=False)
        return sharing_report(self, x, **options)

    def plot(self, path: Any = None) -> Any:
        """Draw trunk, sharing and heads as labelled blocks; see `mtlzoo.plot.model`.

        Args:
            path: where to write the picture, such as `"model.png"`.
        """
        from mtlzoo import plot  # matplotlib is an extra

        return plot.model(self, path)
