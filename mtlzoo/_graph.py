"""The graph of a functional model. Keras's private names for it stand here alone."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops
from keras.src.backend import compute_output_spec
from keras.src.models.functional import Functional, operation_fn


class Step(NamedTuple):
    """One call of a layer or operation.

    Attributes:
        layer: the layer, or the operation of `keras.ops`.
        inputs: the symbolic tensors it was called on.
        outputs: the symbolic tensors it gave.
        arguments: what `call` needs to repeat it.
    """

    layer: Any
    inputs: list[Any]
    outputs: list[Any]
    arguments: Any = None


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
                node.operation,
                list(node.input_tensors),
                list(node.output_tensors),
                node.arguments,
            )
        elif id(node) not in opened:
            opened.add(id(node))
            waiting.append((node, True))
            waiting += [(_node(tensor), False) for tensor in node.input_tensors]
    return list(found.values())


def _node(tensor: Any) -> Any:
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def call(step: Step, values: dict[int, Any], *, training: bool) -> list[Any]:
    """Repeat a step on real tensors, and return its outputs in the order of the step's.

    Args:
        step: of `steps`.
        values: the tensors to call it on, by the id of the symbolic ones.
        training: for the layers that take it.
    """
    positional, named = step.arguments.fill_in(values)
    operation = operation_fn(step.layer, training=training)
    return list(keras.tree.flatten(operation(*positional, **named)))


@contextlib.contextmanager
def one_call(model: Any) -> Iterator[None]:
    """Make the calls of layers inside parts of one call of `model`, as Keras does.

    A layer that is called by itself forgets the losses that it has added before.
    """
    model._get_call_context()
    try:
        yield
    finally:
        model._maybe_reset_call_context()


def variables(step: Step) -> list[Any]:
    """Return the variables of a step's layer, and those that the step is called on.

    An operation such as `ops.matmul(x, dense.kernel)` takes a variable as it is.
    """
    given = keras.tree.flatten([step.arguments.args, step.arguments.kwargs])
    return [
        *getattr(step.layer, "variables", ()),
        *(one for one in given if isinstance(one, keras.Variable)),
    ]


def learnable(model: Any) -> list[Any]:
    """Return the variables that were made to be trained, those now frozen too.

    Neither statistics nor the states of random numbers are among them.
    """
    return [
        one for layer in model._flatten_layers() for one in layer._trainable_variables
    ]


def repeat(steps: Iterable[Step], values: dict[int, Any]) -> None:
    """Call the layers of steps again, on other symbolic tensors.

    Args:
        steps: of `steps`, each after those that it depends on.
        values: the tensors to call them on, by the id of the original ones; what the
            steps give is added.
    """
    for step in steps:
        if isinstance(step.layer, keras.layers.InputLayer):
            continue
        positional, named = step.arguments.fill_in(values)
        outputs = keras.tree.flatten(step.layer(*positional, **named))
        values |= dict(zip(map(id, step.outputs), outputs, strict=True))


def is_plain_functional(layer: Any, step: Step) -> bool:
    """Whether a layer is a functional model, called on the structure it was made for.

    Only then do its inputs, flattened, correspond to those of the step.
    """
    if not isinstance(layer, Functional) or type(layer).call is not Functional.call:
        return False
    positional, named = step.arguments.args, step.arguments.kwargs
    # Keras gives several inputs without masks a list of `None`.
    given = keras.tree.flatten(list(named.values()))
    if len(positional) != 1 or any(one is not None for one in given):
        return False
    try:
        keras.tree.assert_same_structure(positional[0], layer.input)
    except (TypeError, ValueError):
        return False
    return True


def flat_inputs(model: Any, x: Any) -> list[Any]:
    """Return what `model` is called on as a list of tensors, as the model would."""
    return list(model._standardize_inputs(x))


def as_inputs(model: Any, tensors: Sequence[Any]) -> list[Any]:
    """Return tensors in the dtypes and ranks of the inputs of a functional model.

    They may have others: a model of pixels as floats takes those that are integers.

    Args:
        model: a functional model.
        tensors: flat, one for each of its inputs.
    """
    return list(model._adjust_input_rank(model._convert_inputs_to_tensors(tensors)))


def shapes(function: Callable[..., list[Any]], inputs: list[Any]) -> list[Any]:
    """Return the shapes of what a function makes of tensors, without calling it on any.

    The layers that it calls keep no trace of that in their graph.

    Args:
        function: returns a list of tensors.
        inputs: symbolic tensors.
    """
    return [tuple(one.shape) for one in compute_output_spec(function, *inputs)]


def leaf(tensor: Any) -> Any:
    """Return the same value, through which no gradient flows; a mask is kept."""
    copy = ops.stop_gradient(tensor)
    mask = mask_of(tensor)
    if mask is not None:
        copy._keras_mask = mask
    return copy


def mask_of(tensor: Any) -> Any:
    """Return the mask that Keras carries along with a tensor, or `None`.

    Layers take it from there: it need not be among the inputs of their step.
    """
    return getattr(tensor, "_keras_mask", None)


def carried_masks(step: Step) -> list[str]:
    """Return which arguments of a step are masks that its inputs carry anyway.

    A layer that is called on such inputs again gets them again by itself.
    """
    masks = [mask_of(one) for one in step.inputs]
    return [
        name
        for name, value in step.arguments.kwargs.items()
        if value is not None and any(value is mask for mask in masks)
    ]


def without_masks(graph: list[Step], outputs: Iterable[Any]) -> list[Step]:
    """Return the steps that `outputs` depend on but for masks that tensors carry.

    Args:
        graph: of `steps`.
        outputs: the symbolic tensors that it is there for.
    """
    wanted = {id(one) for one in outputs}
    found: list[Step] = []
    for step in reversed(graph):
        if wanted.isdisjoint(id(one) for one in step.outputs):
            continue
        carried = [step.arguments.kwargs[name] for name in carried_masks(step)]
        inputs = [
            one for one in step.inputs if not any(one is mask for mask in carried)
        ]
        wanted |= {id(one) for one in inputs}
        found.append(step._replace(inputs=inputs))
    return found[::-1]
