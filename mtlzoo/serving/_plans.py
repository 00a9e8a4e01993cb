"""From a request to what the session runs, and from what it gives to the answer.

The checks stand in the server's order and have its words.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mtlzoo.serving._errors import Code, ServingError, invalid
from mtlzoo.serving._json._tensors import server_name
from mtlzoo.serving._servable import Servable

DEFAULT = "serving_default"
PREDICT, CLASSIFY, REGRESS = (
    f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress")
)
Feeds = Sequence[tuple[str, Any]]
Classes = list[tuple[str, float]]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one signature runs: arrays by tensor name in, tensors out.

    Attributes:
        signature: the name of the signature.
        definition: its SignatureDef.
        feeds: arrays with the tensors that they go to.
        outputs: the name of each output with its tensor.
    """

    signature: str
    definition: Any
    feeds: Feeds
    outputs: Mapping[str, str]

    @property
    def fetches(self) -> list[str]:
        return list(self.outputs.values())


def plan_predict(
    servable: Servable,
    signature: str,
    inputs: Mapping[str, Any],
    output_filter: Sequence[str] = (),
) -> Plan:
    """Check `inputs`, arrays by input name, against a signature of the model."""
    name = signature or DEFAULT
    if name not in servable.signatures:
        raise ServingError(
            Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
        )
    definition = servable.signatures[name]
    _check_sizes(inputs, definition)
    feeds = []
    for index, alias in enumerate(sorted(definition.inputs)):
        info = definition.inputs[alias]
        if alias in inputs:
            array = inputs[alias]
            _check_dtype(index, array, info.dtype)
        elif alias in definition.defaults:
            array = tf.make_ndarray(definition.defaults[alias])
        else:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in "
                "request and no default value provided. Inputs expected to be in the "
                f"request {_set(inputs)}, or default input alias set: "
                f"{','.join(sorted(definition.defaults))}"
            )
        feeds.append((info.name, array))
    chosen = _chosen(output_filter, definition)
    outputs = {alias: definition.outputs[alias].name for alias in chosen}
    return Plan(name, definition, feeds, outputs)


def plan_examples(
    servable: Servable, signature: str, method: str, examples: Sequence[bytes]
) -> Plan:
    """Check that a signature classifies or regresses serialized examples."""
    name = signature or DEFAULT
    if name not in servable.signatures:
        raise invalid(f"No signature was found with the name: {name}")
    definition = servable.signatures[name]
    if len(definition.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    outputs = set(definition.outputs)
    if method == REGRESS:
        if len(outputs) != 1:
            raise invalid("Expected one output Tensor.")
        kind, complete = "regression", outputs == {"outputs"}
    else:
        if len(outputs) not in (1, 2):
            raise invalid(f"Expected one or two output Tensors, found {len(outputs)}")
        kind, complete = "classification", outputs <= {"classes", "scores"}
    for there, what in (
        ("inputs" in definition.inputs, "inputs"),
        (complete, "outputs"),
    ):
        if not there:
            raise invalid(
                f"No {kind} {what} found in SignatureDef: goo.gle/debugstr  \n"
                f"{definition}"
            )
    feeds = [(definition.inputs["inputs"].name, np.array(examples, object))]
    return Plan(
        name,
        definition,
        feeds,
        {alias: definition.outputs[alias].name for alias in sorted(outputs)},
    )


def as_classes(plan: Plan, arrays: Mapping[str, Any]) -> list[Classes]:
    """Return the labels and scores of each example."""
    batch = len(plan.feeds[0][1])
    scores, labels = arrays.get("scores"), arrays.get("classes")
    for name, array in (("classes", labels), ("scores", scores)):
        if array is None:
            continue
        if array.ndim != 2:
            raise invalid(
                f"Expected Tensor shape: [batch_size num_classes] but got {name}["
                f"{','.join(map(str, array.shape))}]"
            )
        if len(array) != batch:
            raise invalid(
                f"Expected {name} output batch size of {batch}. Got: {len(array)}"
            )
    if scores is not None and scores.dtype != np.float32:
        raise invalid(f"Expected scores Tensor of DT_FLOAT. Got: {scores.dtype.name}")
    if labels is None:
        return [[("", score) for score in row] for row in arrays["scores"].tolist()]
    texts = [[_text(one) for one in row] for row in labels.tolist()]
    if scores is None:
        return [[(label, 0.0) for label in row] for row in texts]
    if scores.shape != labels.shape:
        raise invalid(
            "Tensors class and score should match in [batch_size num_classes]. Got: "
            f"{labels.shape} and {scores.shape}"
        )
    pairs = zip(texts, scores.tolist(), strict=True)
    return [list(zip(row, values, strict=True)) for row, values in pairs]


def as_values(plan: Plan, arrays: Mapping[str, Any]) -> list[float]:
    """Return the value of each example."""
    batch, array = len(plan.feeds[0][1]), arrays["outputs"]
    if array.ndim != 1 and (array.ndim != 2 or array.shape[1] != 1):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or "
            f"[batch_size, 1] but got [{','.join(map(str, array.shape))}]"
        )
    if len(array) != batch:
        raise invalid(f"Expected output batch size to be {batch}. Got: {len(array)}")
    if array.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT. Got: {array.dtype.name}")
    return array.ravel().tolist()


def _check_sizes(inputs: Mapping[str, Any], definition: Any) -> None:
    required = len(definition.inputs) - len(definition.defaults)
    if required <= len(inputs) <= len(definition.inputs):
        return
    extra = set(inputs) - set(definition.inputs)
    missing = set(definition.inputs) - set(inputs) - set(definition.defaults)
    raise invalid(
        f"input size does not match signature: {len(inputs)}!="
        f"{len(definition.inputs)} len({_set(inputs)}) != len("
        f"{_set(definition.inputs)}). Sent extra: {_set(extra)}. Missing but required: "
        f"{_set(missing)}."
    )


def _check_dtype(index: int, array: Any, dtype: int) -> None:
    expected = tf.as_dtype(dtype)
    found = tf.as_dtype(array.dtype)
    if found != expected:
        raise invalid(
            f"Expects arg[{index}] to be {server_name(expected.name)} but "
            f"{server_name(found.name)} is provided"
        )


def _chosen(output_filter: Sequence[str], definition: Any) -> list[str]:
    for index, alias in enumerate(output_filter):
        if alias not in definition.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected "
                f"to be in the set {_set(definition.outputs)}."
            )
        if alias in output_filter[:index]:
            raise invalid(f"duplicate output tensor alias: {alias}")
    return sorted(output_filter or definition.outputs)


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def _text(label: bytes) -> str:
    return label.decode("utf-8", "surrogateescape")
