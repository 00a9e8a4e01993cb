"""The signatures of `classify`, `regress` and MultiInference, on serialized tf.Example.

The function `examples` parses a batch and gives all tasks. `classify_<task>` and
`regress_<task>` are other names for its tensors: a server that is asked for several of
them at once, by MultiInference, runs the function once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from mtlzoo.tasks import Binary

SIGNATURE, INPUT = "examples", "inputs"


class Head(NamedTuple):
    """How the prediction of a task is given to those who classify or regress.

    Attributes:
        method: `"classify"`, `"regress"`, or `""` for a prediction that is neither.
        labels: of the scores, to classify.
        complement: whether a prediction is the probability of the second label alone.
    """

    method: str = ""
    labels: tuple[str, ...] = ()
    complement: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of its tensors, by which the server knows them."""
        return ("scores", "classes") if self.labels else ("outputs",)


def find_heads(model: keras.Model) -> dict[str, Head]:
    """Return the head of each output, by its name.

    A task of several classes is classified, with its class names or else indices as
    labels, a yes or no with the labels 0 and 1. A single number is regressed.
    """
    tasks = {task.name: task for task in getattr(model, "tasks", ())}
    return {
        name: _head(tasks.get(name), tensor) for name, tensor in model.output.items()
    }


def _head(task: Any, tensor: Any) -> Head:
    shape = tuple(tensor.shape[1:])
    if not keras.backend.is_float_dtype(tensor.dtype) or not len(tensor.shape):
        return Head()
    if isinstance(task, Binary):
        return Head("classify", ("0", "1"), complement=True)
    if hasattr(task, "class_names") and len(shape) == 1:
        names = task.class_names or [str(index) for index in range(shape[0])]
        return Head("classify", tuple(names))
    return Head("regress") if shape in ((), (1,)) else Head()


def trace_examples(
    model: keras.Model, predict: Any, heads: Mapping[str, Head]
) -> Any | None:
    """Return `examples` as a concrete function that calls `serving_default`, `predict`.

    An example holds each input as a feature of its name: floats, integers (also for
    booleans) or bytes. Rows of any size would have to be padded, which changes what
    some models say, so a model that takes such rows has no such function.
    """
    if any(None in tensor.shape[1:] for tensor in model.inputs):
        return None
    features = {
        tensor.name: tf.io.FixedLenFeature(tensor.shape[1:], _stored_as(tensor.dtype))
        for tensor in model.inputs
    }

    def signature(inputs: Any) -> dict[str, Any]:
        parsed = tf.io.parse_example(inputs, features)
        rows = {
            tensor.name: parsed[tensor.name]
            if tensor.dtype == "string"
            else tf.cast(parsed[tensor.name], tensor.dtype)
            for tensor in model.inputs
        }
        predictions = predict(**rows)
        found = {}
        for name, head in heads.items():
            if not head.labels:
                found[f"{name}_outputs"] = predictions[name]
                continue
            scores = predictions[name]
            if head.complement:
                scores = tf.concat([1.0 - scores, scores], axis=-1)
            found[f"{name}_scores"] = scores
            labels = tf.constant([head.labels])
            found[f"{name}_classes"] = tf.tile(labels, [tf.shape(inputs)[0], 1])
        return found

    spec = tf.TensorSpec((None,), tf.string, name=INPUT)
    return tf.function(signature).get_concrete_function(**{INPUT: spec})


def add_aliases(folder: Path, heads: Mapping[str, Head]) -> None:
    """Name the tensors of `examples` again for each task, in a stored SavedModel."""
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(path.read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    examples = signatures[SIGNATURE]
    for name, head in heads.items():
        if head.method:
            alias = signatures[f"{head.method}_{name}"]
            alias.method_name = f"tensorflow/serving/{head.method}"
            alias.inputs[INPUT].CopyFrom(examples.inputs[INPUT])
            for output in head.outputs:
                alias.outputs[output].CopyFrom(examples.outputs[f"{name}_{output}"])
    path.write_bytes(saved.SerializeToString(deterministic=True))
    # It is a hash of the file before; none is read as well as the right one.
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def to_examples(rows: Mapping[str, Any]) -> list[tf.train.Example]:
    """Return raw rows, arrays by input name, as one example each."""
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    name: _feature(array[row : row + 1]) for name, array in rows.items()
                }
            )
        )
        for row in range(len(next(iter(rows.values()))))
    ]


def expected_examples(
    heads: Mapping[str, Head], predictions: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return what `examples` and its aliases should answer, by signature."""
    found: dict[str, dict[str, Any]] = {SIGNATURE: {}}
    for name, head in heads.items():
        outputs = {"outputs": predictions[name]}
        if head.labels:
            scores = predictions[name].astype("float32")
            if head.complement:
                scores = np.concatenate([1 - scores, scores], axis=-1)
            labels = np.array([label.encode() for label in head.labels], object)
            outputs = {"scores": scores, "classes": np.tile(labels, (len(scores), 1))}
        for output, values in outputs.items():
            found[SIGNATURE][f"{name}_{output}"] = values
        if head.method:
            found[f"{head.method}_{name}"] = outputs
    return found


def _stored_as(dtype: str) -> tf.DType:
    if dtype == "string":
        return tf.string
    return tf.float32 if keras.backend.is_float_dtype(dtype) else tf.int64


def _feature(array: Any) -> tf.train.Feature:
    flat = array.ravel()
    if flat.dtype.kind in "OS":
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=flat))
    if flat.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=flat))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=flat.astype("int64")))
