"""The graph of a functional model. Keras's private names for it stand here alone."""

from typing import Any, NamedTuple


class Step(NamedTuple):
    """One call of a layer or operation.

    Attributes:
        layer: the layer, or the operation of `keras.ops`.
        inputs: the symbolic tensors it was called on.
        outputs: the symbolic tensors it gave.
    """

    layer: Any
    inputs: list[Any]
    outputs: list[Any]


def steps(outputs: list[Any]) -> list[Step]:
    """Return what `outputs` depend on, each step after those that it depends on.

    Args:
        outputs: symbolic tensors, such as `model.outputs`.
    """
    found: dict[int, Step] = {}
    # Depth first, without recursion: a step is added once all before it have been.
    waiting = [(_node(tensor), False) for tensor in reversed(outputs)]
    opened: set[int] = set()
    while waiting:
        node, complete = waiting.pop()
        if complete:
            found[id(node)] = Step(
                node.operation, list(node.input_tensors), list(node.output_tensors)
            )
        elif id(node) not in opened:
            opened.add(id(node))
            waiting.append((node, True))
            waiting += [(_node(tensor), False) for tensor in node.input_tensors]
    return list(found.values())


def _node(tensor: Any) -> Any:
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]
