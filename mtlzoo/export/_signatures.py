"""From a Keras model to what a SavedModel consists of: signatures, weights, tables."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mtlzoo.errors import ExportError
from mtlzoo.export._load import quiet
from mtlzoo.tasks._base import NAME_PATTERN


class Servable(tf.Module):
    """Holds the variables and lookup tables that the signatures capture.

    Neither the Keras model nor its layers are attached. Attached, they would store each
    weight a second time (keras#23553), or load without error and then fail each request
    in the server, which finds no variable (keras#20096).
    """

    def __init__(self, model: keras.Model, signatures: Mapping[str, Any]) -> None:
        super().__init__()
        captured = {
            id(variable): variable
            for signature in signatures.values()
            for variable in signature.graph.variables
        }
        self.weights = list(captured.values())
        resources = (tf.saved_model.experimental.TrackableResource, tf.Module)
        self.tables = [
            value
            for layer in model._flatten_layers()
            for value in vars(layer).values()
            if isinstance(value, resources)
        ]


def write(model: keras.Model, signatures: Mapping[str, Any], folder: Path) -> None:
    """Write a SavedModel of signatures that were traced from `model`.

    Raises:
        ExportError: TensorFlow can't.
    """
    try:
        with quiet():
            tf.saved_model.save(Servable(model, signatures), str(folder), signatures)
    except (OSError, tf.errors.OpError, AssertionError) as error:
        # TensorFlow asserts that each table and variable is one it can save.
        reason = str(error).splitlines()[0]
        raise ExportError(f"Can't write {model.name!r}: {reason}") from error


def check_model(model: Any) -> None:
    """Refuse a model whose inputs or outputs have no names to serve them by.

    Raises:
        ExportError: saying which, and what to do.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ExportError(
            "Only a functional Keras model that is built can be exported. Received: "
            f"{type(model).__name__}. Make one with mtlzoo.build, or with "
            "keras.Model(inputs, {'task': output})."
        )
    if not isinstance(getattr(model, "output", None), Mapping):  # Sequential has none
        raise ExportError(
            f"The outputs of {model.name!r} have no names. Make them a dict: "
            "mtlzoo.MultiTaskModel.from_functional(model, tasks), or "
            "keras.Model(model.inputs, {'task': model.outputs[0], ...})."
        )
    if isinstance(model.input, Mapping):
        for key, tensor in model.input.items():
            if key != tensor.name:
                raise ExportError(
                    f"The keras.Input under the key {key!r} must carry that name, so "
                    f"that clients know it by one. Received: name={tensor.name!r}."
                )
    for noun, names in (
        ("input", [tensor.name for tensor in model.inputs]),
        ("output", list(model.output)),
    ):
        for name in names:
            if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
                raise ExportError(
                    f"The name of an {noun} must start with a letter or underscore and "
                    "hold only letters, digits and underscores, so that every client "
                    f"can send it. Received: {name!r}."
                )


def trace(model: keras.Model) -> dict[str, Any]:
    """Return concrete functions by signature name, for raw rows.

    `serving_default` gives all tasks, `task_<name>` one alone, and `features` the
    representation of each task where the model has layers of that name.
    """
    signatures = {"serving_default": trace_predict(model)}
    for task, output in model.output.items():
        # A model of its own, so that what other tasks alone need isn't in the graph.
        tower = keras.Model(model.input, {task: output}, name=f"task_{task}")
        signatures[f"task_{task}"] = trace_predict(tower)
    if representations := find_representations(model):
        signatures["features"] = trace_predict(representations)
    return signatures


def find_representations(model: keras.Model) -> keras.Model | None:
    """Return a model that gives the representation of each task that has one."""
    layers = {layer.name: layer for layer in model.layers}
    tensors = {
        task: layers[name].output
        for task in model.output
        if (name := f"representation.{task}") in layers
    }
    return keras.Model(model.input, tensors, name="features") if tensors else None


def call(model: keras.Model, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Call `model` on tensors by input name, as for inference."""
    packed = keras.tree.map_structure(lambda tensor: inputs[tensor.name], model.input)
    with _portable(model):
        predictions: dict[str, Any] = model(packed, training=False)
    return predictions


def trace_predict(model: keras.Model) -> Any:
    """Return a concrete function: raw rows in, all outputs of `model` as float32."""

    def signature(**inputs: Any) -> dict[str, Any]:
        return {
            name: tf.cast(tensor, tf.float32)
            if tensor.dtype.is_floating
            else tf.convert_to_tensor(tensor)
            for name, tensor in call(model, inputs).items()
        }

    specs = {
        tensor.name: tf.TensorSpec(
            (None, *tensor.shape[1:]), tensor.dtype, name=tensor.name
        )
        for tensor in model.inputs
    }
    return tf.function(signature).get_concrete_function(**specs)


@contextlib.contextmanager
def _portable(model: keras.Model) -> Iterator[None]:
    """Keep kernels out of the graph that only a GPU has.

    Where there is a GPU, Keras traces recurrent layers to cuDNN's operations, and a
    server without one could then not run the model.
    """
    before = {
        layer: layer.use_cudnn
        for layer in model._flatten_layers()
        if hasattr(layer, "use_cudnn")
    }
    try:
        for layer in before:
            layer.use_cudnn = False
        yield
    finally:
        for layer, value in before.items():
            layer.use_cudnn = value
