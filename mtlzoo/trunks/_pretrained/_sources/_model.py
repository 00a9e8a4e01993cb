import os
from itertools import takewhile
from typing import Any

import keras

from mtlzoo._graph import Step, steps
from mtlzoo._registry import BASES, unknown_name
from mtlzoo.errors import UnknownNameError, WeightsError
from mtlzoo.trunks._pretrained._base import Base, Request
from mtlzoo.trunks._pretrained._network import KINDS, own_copy
from mtlzoo.trunks._pretrained._weights_file import (
    first_line,
    load_weights,
    refuse_arguments,
)


@BASES.register(
    "model",
    written="model",
    takes="what the model takes",
    needs="nothing",
)
def model(rest: Any, request: Request) -> Base:
    """A living Keras model; of a multi-task model of mtlzoo, its trunk.

    The base is a copy: the model stays as it is.
    """
    return own_copy(from_model(rest, request))


@BASES.register(
    "keras_file",
    written='Path("model.keras")',
    takes="what the model takes",
    needs="nothing",
)
def keras_file(rest: Any, request: Request) -> Base:
    """A saved Keras model; of a multi-task model of mtlzoo, its trunk."""
    try:
        loaded = keras.saving.load_model(rest, compile=False)
    # A damaged or foreign file may raise almost anything.
    except Exception as error:
        raise WeightsError(
            f"{os.fspath(rest)!r} can't be loaded: {first_line(error)}"
        ) from error
    return from_model(loaded, request)


def from_model(whole: Any, request: Request) -> Base:
    """Return the part of a model that is the base: the trunk, or all of it."""
    refuse_arguments(request)
    if isinstance(whole, keras.Sequential) and whole.built:
        # Its graph is there once it is built, its `output` only once it is called.
        whole = keras.Model(whole.inputs, whole.outputs[0], name=whole.name)
    if not hasattr(whole, "inputs") or not getattr(whole, "outputs", None):
        whole = _nest(whole, request)
    if request.weights not in ("pretrained", None):
        load_weights(whole, request)
    if request.output is not None:
        return Base(request.name, _up_to(whole, request.output))
    names = [layer.name for layer in whole.layers]
    parts = {name.partition(".")[0] for name in names}
    if {"trunk", "representation"} <= parts:
        return trunk_of(whole, request.name)
    return Base(request.name, whole)


def trunk_of(whole: Any, name: str) -> Base:
    """Return the trunk of a multi-task model: what its layers `trunk.*` compute.

    Raises:
        WeightsError: it has several trunks, or shares halfway through them.
    """
    graph = steps(whole.outputs)
    trunk = [step for step in graph if step.layer.name.startswith("trunk.")]
    made = {id(tensor) for step in trunk for tensor in step.outputs}
    rest = [step for step in graph if step not in trunk]
    _refuse_mixed(trunk, rest, made, whole)
    outputs: dict[str, Any] = {}
    for step in rest:
        for tensor in step.inputs:
            kind = KINDS.get(len(tensor.shape), "")
            if id(tensor) not in made or outputs.get(kind) is tensor:
                continue
            if kind in outputs:
                raise WeightsError(
                    f"The model {whole.name!r} has several trunks, or one that gives "
                    f"more than one tensor of {kind} features. Name a layer whose "
                    "output is to be the features: output='...'."
                )
            outputs[kind] = tensor
    names = [step.layer.name for step in trunk]
    prefix = _common_beginning(names)
    inputs = {
        tensor.name: tensor
        for step in trunk
        for tensor in step.inputs
        if id(tensor) not in made
    }
    return Base(name, keras.Model(inputs, outputs), outputs, prefix)


def _common_beginning(names: list[str]) -> str:
    """Return the parts, between dots, that all names begin with."""
    columns = zip(*(name.split(".")[:-1] for name in names), strict=False)
    same = takewhile(lambda column: len(set(column)) == 1, columns)
    return "".join(f"{column[0]}." for column in same)


def _refuse_mixed(
    trunk: list[Step], rest: list[Step], made: set[int], whole: Any
) -> None:
    elsewhere = {
        id(tensor)
        for step in rest
        if not isinstance(step.layer, keras.layers.InputLayer)
        for tensor in step.outputs
    }
    for step in trunk:
        if any(id(tensor) in elsewhere for tensor in step.inputs):
            raise WeightsError(
                f"The trunks of {whole.name!r} are mixed halfway: {step.layer.name!r} "
                "depends on more than a trunk. Take the trunk of a model whose sharing "
                "comes after it, such as a shared_bottom or mmoe."
            )


def _up_to(whole: Any, output: str) -> Any:
    names = [layer.name for layer in whole.layers]
    if output not in names:
        raise UnknownNameError(unknown_name("layer", output, names))
    return keras.Model(whole.inputs, whole.get_layer(output).output)


def _nest(layer: Any, request: Request) -> Any:
    """Return a functional model of one layer, on inputs like those to come."""
    inputs = {}
    for key, (_, tensor) in request.sources.items():
        shape = list(tensor.shape[1:])
        if len(shape) == 3 and request.image_size:
            shape[:2] = request.image_size
        inputs[key] = keras.Input(shape, dtype=tensor.dtype, name=key)
    taken = inputs if len(inputs) > 1 else next(iter(inputs.values()))
    try:
        return keras.Model(inputs, layer(taken))
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"The base {request.name!r} can't take these inputs: {first_line(error)}"
        ) from error
