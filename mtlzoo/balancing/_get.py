from typing import Any

import keras

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Balancing
from mtlzoo.balancing.weighting import Equal


def get(identifier: Any) -> Balancing:
    """Return the balancing that `identifier` stands for.

    Args:
        identifier: `None` (equal weights), a name such as `"pcgrad"` (with the
            method's defaults), a `Balancing` (returned as it is), or the config of one,
            as `keras.saving.serialize_keras_object` makes it.

    Raises:
        UnknownNameError: nothing has that name; the message lists close ones.
        TypeError: `identifier` is none of these.
    """
    if identifier is None:
        return Equal()
    if isinstance(identifier, str):
        return BALANCING.get(identifier)()
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if not isinstance(identifier, Balancing):
        raise TypeError(
            "`balancing` must be a name of mtlzoo.list_balancing(), an object such as "
            f"mtlzoo.balancing.PCGrad(), or None. Received: {identifier!r}."
        )
    return identifier
