from typing import Any

import keras

from mtlzoo._registry import TRUNKS
from mtlzoo.errors import DataError, OptionError
from mtlzoo.trunks._base import Sources, Trunk
from mtlzoo.trunks._custom import Custom
from mtlzoo.trunks._multimodal import DEFAULT_TRUNKS


def get(identifier: Any) -> Trunk:
    """Return the trunk that a name, a trunk, or a Keras model or layer stands for.

    Raises:
        UnknownNameError: no trunk has that name.
        OptionError: that trunk can't be made from its name alone.
        DataError: it is none of these.
    """
    if isinstance(identifier, Trunk):
        return identifier
    if isinstance(identifier, str):
        cls = TRUNKS.get(identifier)
        for name, parameter in cls.options().items():
            if parameter.default is parameter.empty:
                raise OptionError(
                    f"The trunk {identifier!r} needs `{name}`. Pass an object: "
                    f"trunks.{cls.__name__}({name}=...)."
                )
        trunk: Trunk = cls()
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
