from collections.abc import Mapping
from typing import Any

import keras

from mtlzoo.errors import DataError, ModelError, OptionError, TaskError
from mtlzoo.model import MultiTaskModel
from mtlzoo.tasks import Task
from mtlzoo.transfer._around import train_around
from mtlzoo.transfer._copies import copy_of
from mtlzoo.transfer._soft_targets import SoftFeatures, SoftTargets


@keras.saving.register_keras_serializable("mtlzoo")
class Teacher(keras.layers.Layer):
    """A model that is never trained and always runs as in inference.

    Args:
        model: the model.

    Input shape: a dict, as the model's inputs.

    Output shape: as the model's outputs.
    """

    def __init__(self, model: keras.Model, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "autocast": False, **kwargs})
        self.model = model
        self.model.trainable = False
        self.built = True

    # No argument `training`: Keras would pass on that of the student.
    def call(self, inputs: Any) -> Any:
        return self.model(inputs, training=False)

    def compute_output_spec(self, inputs: Any) -> Any:
        return self.model.compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Teacher":
        model = keras.saving.deserialize_keras_object(config["model"])
        return cls(**{**config, "model": model})


def distill(
    student: MultiTaskModel,
    teachers: Mapping[str, MultiTaskModel],
    *,
    temperature: float = 2.0,
    weight: float = 1.0,
    representations: float = 0.0,
) -> MultiTaskModel:
    """Return a model to train that has the student learn from a teacher a task.

    It has the layers of `student` and more losses: for each task with a teacher, how
    far the student's predictions are from the teacher's. Train it as any model, with
    labels as far as there are any: teachers judge every row, labelled or not. What it
    learns is in `student`, which is as it was otherwise: a normal model.

    Added to the loss of task `t` are, times its `loss_weight`:

    - `weight * T^2 * KL(p_T || q_T)` where predictions are probabilities: `p_T` and
      `q_T` are those of teacher and student at temperature `T`, the mean over the
      batch. Tasks with other predictions take their own loss, the teacher's prediction
      being the label.
    - `representations * mean ||A_t s / ||A_t s|| - f / ||f|| ||^2`: the distance of the
      student's representation `s` to the teacher's `f`, after a learned matrix `A_t`.
      (It doesn't depend on the task's `loss_weight`.)

    Args:
        student: what is to be trained; some of its tasks may have no teacher.
        teachers: by task, a trained model of that task, usually of it alone. They are
            copied, and stay as they are.
        temperature: above 1, the teacher's small probabilities count for more.
        weight: of the teachers' predictions.
        representations: of the teachers' representations; 0 leaves them out. Both
            student and teachers must come from `mtlzoo.build` then.

    Raises:
        TaskError: a teacher or the student lacks the task, or they take it differently.
        DataError: a teacher reads inputs that the student doesn't have.
        ModelError: a representation can't be compared.
        OptionError: a number is out of range.

    Example:

    ```python
    teachers = {}
    for task in data.tasks:
        teacher = mtlzoo.build("shared_bottom", inputs=data.inputs, tasks=[task])
        teacher.fit(data.only([task.name]).train)
        teachers[task.name] = teacher
    student = mtlzoo.build("shared_bottom", **data.spec)
    mtlzoo.transfer.distill(student, teachers).fit(data.train, epochs=10)
    student.evaluate(data.test)
    ```

    Reference: Geoffrey Hinton, Oriol Vinyals, Jeff Dean, *Distilling the Knowledge in a
    Neural Network*, 2015, <https://arxiv.org/abs/1503.02531> (predictions); Wei-Hong
    Li, Hakan Bilen, *Knowledge Distillation for Multi-task Learning*, ECCV workshops
    2020, <https://arxiv.org/abs/2007.06889> (a teacher a task, representations).

    Differences from Keras: `keras.distillation.LogitsDistillation` computes the
    divergence here. `keras.distillation.Distiller` is not used: it has one teacher for
    all outputs and a training step of its own, which knows neither missing labels nor
    balancing; nor is `FeatureDistillation`, which needs both of one width.
    """
    if not temperature > 0:
        raise OptionError(
            f"`temperature` must be above 0. Received: temperature={temperature}."
        )
    if weight < 0 or representations < 0 or not weight + representations:
        raise OptionError(
            "`weight` and `representations` must be at least 0, and one above 0. "
            f"Received: weight={weight}, representations={representations}."
        )
    if not teachers:
        raise TaskError("At least one teacher is needed, by task. Received: none.")
    tasks = {task.name: task for task in student.tasks}
    inputs = {tensor.name: tensor for tensor in student.inputs}
    outputs = {}
    for name, teacher in teachers.items():
        _check(name, teacher, tasks, inputs)
        made = _teacher(name, teacher, inputs, with_features=representations > 0)
        prediction = student.output[name]
        if weight:
            prediction = SoftTargets(
                tasks[name],
                temperature=temperature,
                weight=weight,
                name=f"distill.{name}.predictions",
            )([prediction, made["prediction"]])
        if representations:
            own = _representation(student, name, "The student")
            if own.shape[1:-1] != made["representation"].shape[1:-1]:
                raise ModelError(
                    f"The representations of task {name!r} can't be compared: that of "
                    f"the student has shape {own.shape}, that of the teacher "
                    f"{made['representation'].shape}. Take representations=0."
                )
            prediction = SoftFeatures(
                weight=representations, name=f"distill.{name}.representation"
            )([prediction, own, made["representation"]])
        outputs[name] = prediction
    return train_around(student, outputs, name="distilled")


def _check(
    name: str, teacher: Any, tasks: Mapping[str, Task], inputs: Mapping[str, Any]
) -> None:
    if name not in tasks:
        raise TaskError(
            f"There is a teacher for {name!r}, which is no task of the student: "
            f"{', '.join(tasks)}."
        )
    known = {task.name: task for task in teacher.tasks}
    if name not in known:
        raise TaskError(
            f"The teacher for {name!r} has no such task. Its tasks: {', '.join(known)}."
        )
    told = [
        (type(one).__name__, one.prediction_shape, getattr(one, "class_names", None))
        for one in (known[name], tasks[name])
    ]
    if told[0] != told[1]:
        raise TaskError(
            f"Teacher and student take task {name!r} differently: {known[name]!r}, "
            f"{tasks[name]!r}."
        )
    missing = [one.name for one in teacher.inputs if one.name not in inputs]
    if missing:
        raise DataError(
            f"The teacher for {name!r} reads inputs that the student doesn't have: "
            f"{', '.join(missing)}. The student's: {', '.join(inputs)}."
        )


def _teacher(
    name: str, teacher: Any, inputs: Mapping[str, Any], *, with_features: bool
) -> dict[str, Any]:
    copy = copy_of(teacher)
    outputs = {"prediction": copy.output[name]}
    if with_features:
        owner = f"The teacher for {name!r}"
        outputs["representation"] = _representation(copy, name, owner)
    read = {tensor.name: tensor for tensor in copy.inputs}
    model = keras.Model(read, outputs, name=f"teacher_{name}")
    layer = Teacher(model, name=f"distill.{name}.teacher")
    made: dict[str, Any] = layer({key: inputs[key] for key in read})
    return made


def _representation(model: Any, task: str, owner: str) -> Any:
    name = f"representation.{task}"
    if name not in [layer.name for layer in model.layers]:
        raise ModelError(
            f"{owner} names no representation of task {task!r}: it was not made by "
            "`mtlzoo.build`. Take representations=0."
        )
    return model.get_layer(name).output
