from typing import Any

import keras
from keras import ops

from mtlzoo.tasks import Binary, MultiLabel, Task

# By its name, "kl_divergence", Keras 3.15.1 takes a function in the place of the class
# and then compares logits where it means probabilities.
_DIVERGENCE = keras.losses.KLDivergence


def soft_target_loss(task: Task, teacher: Any, student: Any, temperature: float) -> Any:
    """Return how far a student's predictions are from its teacher's, a scalar.

    Where predictions are probabilities, it is `T^2 * KL(p_T || q_T)`, the mean over the
    batch (steps, pixels, labels): `p_T` is the teacher's distribution and `q_T` the
    student's, both at temperature `T`: `softmax(log p / T)`. Otherwise it is the task's
    own loss, with the teacher's prediction as the label.

    Args:
        task: what is predicted.
        teacher: its predictions.
        student: predictions of the same shape.
        temperature: `T`.
    """
    if isinstance(task, Binary | MultiLabel):
        teacher, student = (
            ops.stack([1 - one, one], axis=-1) for one in (teacher, student)
        )
    elif not task.has_classes:
        return ops.mean(task.row_losses(teacher, student))
    divergence = keras.distillation.LogitsDistillation(temperature, _DIVERGENCE())
    return divergence.compute_loss(_log(teacher), _log(student))


def _log(probabilities: Any) -> Any:
    """Return logits: the softmax of logarithms of probabilities is what they were."""
    return ops.log(ops.maximum(probabilities, keras.config.epsilon()))


@keras.saving.register_keras_serializable("mtlzoo")
class SoftTargets(keras.layers.Layer):
    """Add the distance of a task's predictions to those of a teacher to the loss.

    Args:
        task: what is predicted.
        temperature: at which distributions are compared.
        weight: of the loss, on top of the task's own `loss_weight`.

    Input shape: a list: the predictions of student and teacher, of one shape.

    Output shape: as the predictions; the student's pass unchanged.
    """

    def __init__(
        self, task: Task, *, temperature: float, weight: float, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.task = task
        self.temperature = temperature
        self.weight = weight

    def call(self, inputs: Any) -> Any:
        student, teacher = inputs
        teacher = ops.stop_gradient(teacher)
        loss = soft_target_loss(self.task, teacher, student, self.temperature)
        self.add_loss(self.weight * self.task.loss_weight * loss)
        return student

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "task": keras.saving.serialize_keras_object(self.task),
            "temperature": self.temperature,
            "weight": self.weight,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SoftTargets":
        task = keras.saving.deserialize_keras_object(config["task"])
        return cls(**{**config, "task": task})


@keras.saving.register_keras_serializable("mtlzoo")
class SoftFeatures(keras.layers.Layer):
    """Add the distance of a task's representation to that of a teacher to the loss.

    `weight * mean ||A s / ||A s|| - f / ||f|| ||^2`, for the representation `s` of the
    student and `f` of the teacher, where `A` is a matrix that is learned: the adaptor
    of the task. It belongs to the training, not to the student.

    Args:
        weight: of the loss.

    Input shape: a list: predictions; the representations of student and teacher,
        `(batch, ..., width)` each, alike but for their widths.

    Output shape: as the predictions, which pass unchanged.
    """

    def __init__(self, *, weight: float, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.weight = weight

    def build(self, input_shape: Any) -> None:
        _, student, teacher = input_shape
        self.adaptor = keras.layers.Dense(teacher[-1], use_bias=False, name="adaptor")
        self.adaptor.build(student)
        self.built = True

    def call(self, inputs: Any) -> Any:
        prediction, student, teacher = inputs
        student = ops.normalize(self.adaptor(student), axis=-1)
        teacher = ops.normalize(ops.stop_gradient(teacher), axis=-1)
        apart = ops.sum(ops.square(student - teacher), axis=-1)
        self.add_loss(self.weight * ops.mean(apart))
        return prediction

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}
