from typing import Any

import keras

from mtlzoo.errors import DataError
from mtlzoo.trunks._base import Features, Sources, Stage, Trunk, encode
from mtlzoo.trunks._pooling import with_pooled

KINDS = {2: "pooled", 3: "sequence", 4: "map"}


@keras.saving.register_keras_serializable("mtlzoo")
class Custom(Trunk):
    """A trunk made of a `keras.Model` or `keras.Layer` that the caller built.

    The model is called on the encoded inputs: with one input on the tensor itself, with
    several on a dict by name. Its output is a tensor of 2, 3 or 4 axes (pooled
    features, a sequence or a map), or a dict with the keys `pooled`, `sequence` and
    `map`. Pooled features that it doesn't give are the mean over steps or pixels.

    An architecture with one trunk uses the model itself, weights included; one with
    several trunks gives each of the others a copy that starts from the same weights.

    Args:
        model: a Keras model or layer.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._used = False

    def begin(self, sources: Sources, name: str) -> Any:
        encoded = encode(sources, name)
        inputs = encoded if len(encoded) > 1 else next(iter(encoded.values()))
        return self._take(name)(inputs)

    def stages(self, name: str) -> list[Stage]:
        return []

    def finish(self, tensor: Any, name: str) -> Features:
        outputs = tensor
        if not isinstance(tensor, dict):
            rank = len(tensor.shape)
            if rank not in KINDS:
                raise DataError(
                    "The output of a trunk must have 2, 3 or 4 axes, batch included. "
                    f"{self.model.name!r} gives shape {tuple(tensor.shape)}."
                )
            outputs = {KINDS[rank]: tensor}
        if unknown := sorted(set(outputs) - set(KINDS.values())):
            raise DataError(
                "A trunk gives a tensor, or a dict with keys among pooled, sequence "
                f"and map. {self.model.name!r} gives: {', '.join(unknown)}."
            )
        return with_pooled(Features(**outputs), name)

    def _take(self, name: str) -> Any:
        if not self._used:
            self._used = True
            return self.model
        config = {**self.model.get_config(), "name": name}
        copy = type(self.model).from_config(config)
        if self.model.built and not copy.built:
            copy.build_from_config(self.model.get_build_config())
        if self.model.built:
            copy.set_weights(self.model.get_weights())
        return copy
