"""The bodies of classify and regress: features by name, an example each."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from mtlzoo.serving._errors import invalid
from mtlzoo.serving._json._dump import dump, quote, type_name
from mtlzoo.serving._json._predict import read_object, read_signature
from mtlzoo.serving._json._response import float32_texts
from mtlzoo.serving._json._tensors import decode_base64, is_base64

Features = dict[str, list[Any]]
"""By name a list of `bytes`, of `float` or of `int`; one kind in a list."""

_INT64 = (-(2**63), 2**63 - 1)
_KINDS = {bytes: "bytes", float: "float", int: "int64"}


@dataclasses.dataclass(frozen=True)
class ExamplesRequest:
    """Examples, and the features that all of them share."""

    signature: str
    examples: list[Features]
    context: Features | None


def read_examples(body: bytes) -> ExamplesRequest:
    """Return the request in the body of a POST to classify or regress.

    Raises:
        ServingError: it is none; the message says why.
    """
    document = read_object(body)
    signature = read_signature(document)
    context = None
    if "context" in document:
        context = _features(document["context"])
    if "examples" not in document:
        # For regress, too, the server says classify.
        raise invalid(
            f"JSON Value: {dump(document)} When method is classify, key 'examples' is "
            "expected and was not found"
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise invalid(
            f"JSON Value: {dump(document)} Expecting 'examples' value to be an "
            "list/array"
        )
    if not examples:
        raise invalid(
            f"JSON Value: {dump(document)} 'examples' value is an empty array"
        )
    return ExamplesRequest(signature, [_features(one) for one in examples], context)


def classify_response(results: Sequence[Sequence[tuple[str, float]]]) -> bytes:
    """Return the body for the labels and scores of each example."""
    if not results:
        raise invalid("Cannot convert empty ClassificationResults to JSON")
    rows = []
    for classes in results:
        scores = float32_texts([score for _, score in classes])
        pairs = zip(classes, scores, strict=True)
        rows.append(", ".join(f"[{quote(one)}, {text}]" for (one, _), text in pairs))
    found = ", ".join(f"[{row}]" for row in rows)
    return f'{{"results": [{found}]}}'.encode("utf-8", "surrogateescape")


def regress_response(values: Sequence[float]) -> bytes:
    """Return the body for the value of each example."""
    if not len(values):
        raise invalid("Cannot convert empty RegressionResults to JSON")
    return f'{{"results": [{", ".join(float32_texts(values))}]}}'.encode()


def _features(value: Any) -> Features:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {type_name(value)}")
    return {
        name: _feature(name, one if isinstance(one, list) else [one])
        for name, one in value.items()
    }


def _feature(name: str, values: list[Any]) -> list[Any]:
    found = [_value(name, value) for value in values]
    for value in found:
        if type(value) is not type(found[0]):
            raise invalid(
                f"Unexpected element type in feature: {name} expecting type: "
                f"{_KINDS[type(found[0])]}"
            )
    return found


def _value(name: str, value: Any) -> bytes | float | int:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if is_base64(value):
        return decode_base64(value)
    if value is None or isinstance(value, (list, dict)):
        raise invalid(
            f"Feature: {name} has element with unexpected JSON type: {type_name(value)}"
        )
    if isinstance(value, float):
        return value
    if not _INT64[0] <= value <= _INT64[1]:
        raise invalid(
            f"Feature: {name} has a number that int64 can't hold: {dump(value)}"
        )
    return int(value)
