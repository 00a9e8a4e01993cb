from collections.abc import Callable
from typing import Any

import keras

Change = Callable[[Any, tuple[Any, ...], Any], Any]
"""From a layer, its positional arguments and its output to what follows it."""


def replay(target: Any, change: Change) -> Any:
    """Return `target` as it would be with changes on the way to it.

    The layers that lead to `target` are applied again, with the same weights, wherever
    something before them has changed; all else is left as it is. So several tasks can
    go through one trunk, each with additions of its own.

    Args:
        target: a symbolic tensor.
        change: called for each layer with the layer, the positional arguments that it
            now has and its output; returns that output, or what takes its place.
    """
    # Names with an underscore are Keras's own affair; this is the only place where
    # mtlzoo.sharing relies on them, and its test fails when Keras changes them.
    done: dict[int, Any] = {}

    def visit(tensor: Any) -> Any:
        if id(tensor) in done:
            return done[id(tensor)]
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if node.is_input:
            return done.setdefault(id(tensor), tensor)
        inputs = {id(one): visit(one) for one in node.input_tensors}
        arguments, options = node.arguments.fill_in(inputs)
        if all(inputs[id(one)] is one for one in node.input_tensors):
            outputs = node.outputs
        else:
            outputs = keras.tree.flatten(history.operation(*arguments, **options))
        for old, new in zip(node.outputs, outputs, strict=True):
            done[id(old)] = change(history.operation, arguments, new)
        return done[id(tensor)]

    return visit(target)


def made_by(tensor: Any) -> Any:
    """Return the layer that gave a symbolic tensor."""
    return tensor._keras_history.operation


def layers_before(target: Any) -> list[Any]:
    """Return the layers that lead to a symbolic tensor, inputs left out."""
    found: dict[int, Any] = {}

    def note(layer: Any, arguments: tuple[Any, ...], output: Any) -> Any:
        found[id(layer)] = layer
        return output

    replay(target, note)
    return list(found.values())
