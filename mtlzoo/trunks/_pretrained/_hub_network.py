"""Networks of keras_hub on other inputs than their own."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from mtlzoo._graph import steps
from mtlzoo._registry import unknown_name
from mtlzoo.errors import UnknownNameError, WeightsError
from mtlzoo.trunks._pretrained._copies import lay


def on(network: Any, inputs: Mapping[str, Any], layer: str | None) -> Any:
    """Return what a network gives for symbolic inputs.

    Its layers are taken one by one, as copies, where copies do what they do; else the
    network is called as one layer.

    Args:
        network: a backbone.
        inputs: by the names of its own.
        layer: whose output is returned; `None` for that of the network, its sequence
            where it gives several.

    Raises:
        UnknownNameError: there is no such layer.
        WeightsError: the network can't be taken apart, and a layer is named.
    """
    output = _output(network, layer)
    copied = _copied(network, output, inputs)
    if copied is not None:
        return copied
    if layer is not None:
        raise WeightsError(
            f"keras_hub can't make all layers of {type(network).__name__} from their "
            f"config, so that {layer!r} can't give the features. Leave out `output`."
        )
    whole = network(
        keras.tree.map_structure(lambda one: inputs[one.name], network.input)
    )
    return _sequence(whole)


def _output(network: Any, layer: str | None) -> Any:
    if layer is None:
        return _sequence(network.output)
    names = [one.name for one in network.layers]
    if layer not in names:
        raise UnknownNameError(unknown_name("layer", layer, names))
    return network.get_layer(layer).output


def _sequence(output: Any) -> Any:
    if isinstance(output, Mapping) and "sequence_output" in output:
        return output["sequence_output"]
    return output


def _copied(network: Any, output: Any, inputs: Mapping[str, Any]) -> Any | None:
    """Return what copies of the layers give, `None` if that is something else."""
    values = {id(one): inputs[one.name] for one in network.inputs}
    try:
        lay(steps([output]), values, str, weights=True)
    except (TypeError, ValueError):
        return None
    taken = [inputs[one.name] for one in network.inputs]
    row = [np.ones([1, *(size or 32 for size in one.shape[1:])]) for one in taken]
    found = keras.Model(taken, values[id(output)])(row)
    expected = keras.Model(network.inputs, output)(row)
    same = np.allclose(found, expected, rtol=1e-3, atol=1e-3)
    return values[id(output)] if same else None
