from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._base import Sharing
from mtlzoo.sharing._orthogonality import orthogonality
from mtlzoo.sharing._supervision import supervision
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


@keras.saving.register_keras_serializable("mtlzoo")
class GradientReversal(keras.layers.Layer):
    """The identity, whose gradient is multiplied by -1.

    Input shape: any.

    Output shape: the same.

    Reference: Yaroslav Ganin, Victor Lempitsky, *Unsupervised Domain Adaptation by
    Backpropagation*, ICML 2015, <https://arxiv.org/abs/1409.7495>.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return reverse_gradient(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def reverse_gradient(tensor: Any, strength: Any = 1.0) -> Any:
    """Return `tensor`, whose gradient is multiplied by `-strength`."""
    # The value of the second term is 0 and its gradient -(1 + strength).
    return tensor - (1.0 + strength) * (tensor - ops.stop_gradient(tensor))


@keras.saving.register_keras_serializable("mtlzoo")
class TaskDiscrimination(keras.layers.Layer):
    """Add the loss of telling from shared features which task a row belongs to.

    A row belongs to the tasks that it has labels for, to each in equal parts. The loss
    is the cross-entropy, averaged over the rows that have any label, times `weight`.
    The features pass through unchanged.

    Args:
        tasks: in the order of the logits.
        weight: of the loss.

    Input shape: a list: features, and logits of shape `(batch, num_tasks)`.

    Output shape: as the features.
    """

    def __init__(self, tasks: Sequence[Task], *, weight: float, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.supports_masking = True
        self.tasks = list(tasks)
        self.weight = weight

    def call(self, inputs: Any) -> Any:
        features, logits = inputs
        now = supervision()
        if now is not None:
            logits = ops.cast(logits, "float32")
            present = [self._present(task, now.labels, logits) for task in self.tasks]
            owners = ops.stack(present, axis=-1)
            count = ops.sum(owners, axis=-1)
            shares = ops.divide_no_nan(owners, ops.expand_dims(count, -1))
            losses = -ops.sum(shares * ops.log_softmax(logits, axis=-1), axis=-1)
            rows = ops.sum(ops.cast(count > 0, "float32"))
            self.add_loss(self.weight * ops.divide_no_nan(ops.sum(losses), rows))
        return features

    def _present(self, task: Task, labels: Any, logits: Any) -> Any:
        """Return for each row 1 if it has a label of `task`, else 0."""
        if task.name not in labels:
            return ops.zeros_like(logits[:, 0])
        there = task.labelled(ops.cast(labels[task.name], "float32"))
        while len(there.shape) > 1:
            there = ops.any(there, axis=-1)
        return ops.cast(there, "float32")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[0] if mask else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        tasks = [keras.saving.serialize_keras_object(task) for task in self.tasks]
        return {**super().get_config(), "tasks": tasks, "weight": self.weight}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TaskDiscrimination":
        tasks = [keras.saving.deserialize_keras_object(one) for one in config["tasks"]]
        return cls(**{**config, "tasks": tasks})


@keras.saving.register_keras_serializable("mtlzoo")
class JoinPrivate(keras.layers.Layer):
    """Join shared and private features, with a loss for what they have in common.

    Added to the loss is `weight * ||S^T P / n||_F^2`, where the rows of `S` and `P` are
    the `n` rows, steps or pixels of the batch, each scaled to unit length.

    Args:
        weight: of the loss.

    Input shape: a list of shared and private features, `(batch, ..., width)` each.

    Output shape: `(batch, ..., sum of both widths)`.
    """

    def __init__(self, weight: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.weight = weight

    def call(self, inputs: Any) -> Any:
        shared, private = inputs
        if self.weight:
            self.add_loss(self.weight * orthogonality(shared, private))
        return ops.concatenate([shared, private], axis=-1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[0] if mask else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        shared, private = input_shape
        return (*shared[:-1], shared[-1] + private[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}


@ARCHITECTURES.register(
    "shared_private",
    paper="Liu et al., ACL 2017",
    tasks="two or more, any kind",
    inputs="any",
    extra_losses="adversarial task discrimination, orthogonality",
)
@keras.saving.register_keras_serializable("mtlzoo")
class SharedPrivate(Sharing):
    """A trunk for all tasks beside one for each, kept apart by an adversary.

    The head of task `t` reads `[s, p_t]`: features of a shared trunk and of the task's
    own. Two losses keep in `s` what is common and in `p_t` what is not:

    - `adversarial * L_D`: a discriminator tells from `s` which task a row belongs to,
      and through a gradient reversal the shared trunk learns to make that impossible;
    - `orthogonality * ||S^T P_t / n||_F^2` for each task, where the `n` rows of `S` and
      `P_t` are those of the batch, each scaled to unit length.

    A row belongs to the tasks that it has labels for. The adversary has something to
    tell apart where each row has labels for some tasks only, as when every task brings
    a data set of its own; where all rows have labels for all tasks it has nothing to
    learn, and only the second loss matters.

    Args:
        adversarial: the weight of the discriminator's loss.
        orthogonality: the weight of the other one.

    Reference: Pengfei Liu, Xipeng Qiu, Xuanjing Huang, *Adversarial Multi-task Learning
    for Text Classification*, ACL 2017, <https://arxiv.org/abs/1704.05742>.

    Differences from the paper: rows are scaled to unit length and `S^T P` is divided by
    their number, so that neither the batch nor the scale of the features changes the
    penalty; the discriminator reads the pooled features.
    """

    min_tasks = 2

    def __init__(
        self, *, adversarial: float = 0.05, orthogonality: float = 0.01
    ) -> None:
        self.adversarial = adversarial
        self.orthogonality = orthogonality

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        shared = trunk.connect(sources)
        # What passes the discriminator stands for all kinds: it must lie on the way to
        # an output, else it would be no part of the model.
        first = tasks[0].reads
        common = {task.reads: shared.read(task) for task in tasks}
        common[first] = self._discriminate(common[first], shared.pooled, tasks)
        return {
            task.name: JoinPrivate(
                self.orthogonality, name=f"sharing.join.{task.name}"
            )(
                [
                    common[task.reads],
                    trunk.connect(sources, f"trunk.{task.name}").read(task),
                ]
            )
            for task in tasks
        }

    def _discriminate(self, features: Any, pooled: Any, tasks: Sequence[Task]) -> Any:
        reversed_ = GradientReversal(name="sharing.reversal")(pooled)
        logits = keras.layers.Dense(len(tasks), name="sharing.discriminator")(reversed_)
        return TaskDiscrimination(
            tasks, weight=self.adversarial, name="sharing.discrimination"
        )([features, logits])
