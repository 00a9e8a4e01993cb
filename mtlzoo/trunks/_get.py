from typing import Any

import keras

from mtlzoo._registry import TRUNKS
from mtlzoo.errors import DataError
from mtlzoo.trunks._base import Sources, Trunk
from mtlzoo.trunks._custom import Custom
from mtlzoo.trunks._multimodal import DEFAULT_TRUNKS


def get(identifier: Any) -> Trunk:
    """Return the trunk that a name, a trunk, or a Keras model or layer stands for.

    Raises:
        UnknownNameError: no trunk has that name.
        DataError: it is none of these.
    """
    if isinstance(identifier, Trunk):
        return identifier
    if isinstance(identifier, str):
        trunk: Trunk = TRUNKS.get(identifier)()
        return trunk
    if isinstance(identifier, keras.layers.Layer):
        return Custom(identifier)
    raise DataError(
        "`trunk` must be a name of mtlzoo.list_trunks(), an object of mtlzoo.trunks, a "
        f"keras.Model or a keras.Layer. Received: {identifier!r}."
    )


def default(sources: Sources) -> Trunk:
    """Return the trunk that suits the forms of the inputs."""
    forms = {source.feature.form for source in sources.values()}
    if forms == {"vector"}:
        return get("tabular")
    if len(sources) == 1:
        return get(DEFAULT_TRUNKS[forms.pop()])
    return get("multimodal")
