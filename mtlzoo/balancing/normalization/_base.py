from abc import abstractmethod
from typing import Any

import keras

from mtlzoo.balancing._base import Balancing


class Normalization(Balancing):
    """Brings the losses of the tasks to one scale before gradients are combined.

    A loss `L_i` becomes `f_i(L_i)`, and its gradient `g_i` becomes `f_i'(L_i) g_i`, so
    an aggregator's method need not know of it.
    """

    @abstractmethod
    def normalize(self, losses: Any, present: Any) -> tuple[Any, Any]:
        """Return the normalised losses, and what the gradients are multiplied by.

        Args:
            losses: tensor of shape `(num_tasks,)`; 0 for absent tasks.
            present: boolean tensor of shape `(num_tasks,)`.

        Returns:
            Two tensors of shape `(num_tasks,)`; entries of absent tasks don't matter.
        """


def get(identifier: Any) -> Normalization | None:
    """Return the normalisation that `identifier`, a name or an object, stands for."""
    from mtlzoo.balancing import normalization

    names = {
        "log": normalization.Log,
        "first_step": normalization.FirstStep,
        "running_average": normalization.RunningAverage,
    }
    if identifier is None or identifier == "none":
        return None
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, Normalization):
        return identifier
    if identifier not in names:
        raise ValueError(
            f"`normalization` must be None or one of {sorted(names)}, or an object of "
            f"mtlzoo.balancing.normalization. Received: {identifier!r}."
        )
    return names[identifier]()
