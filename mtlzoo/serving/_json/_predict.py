"""The body of a predict request, by rows (`instances`) or by columns (`inputs`)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mtlzoo.serving._errors import ServingError, invalid
from mtlzoo.serving._json._dump import dump
from mtlzoo.serving._json._parse import parse
from mtlzoo.serving._json._tensors import is_base64, to_tensor


@dataclasses.dataclass(frozen=True)
class PredictRequest:
    """A body that is an object, whose tensors aren't read yet.

    Reading them takes the types of the signature, which the body itself names.
    """

    signature: str
    body: dict[str, Any]

    @property
    def by_rows(self) -> bool:
        return "instances" in self.body


def read_predict(body: bytes) -> PredictRequest:
    """Return the request in the body of a POST.

    Raises:
        ServingError: it is no JSON object, or its signature is no string.
    """
    document = read_object(body)
    return PredictRequest(read_signature(document), document)


def read_tensors(request: PredictRequest, dtypes: Mapping[str, str]) -> dict[str, Any]:
    """Return the arrays of a request by input name.

    Args:
        request: from `read_predict`.
        dtypes: the type of each input of the signature, as TensorFlow names it.

    Raises:
        ServingError: they aren't there, or not as the signature has them.
    """
    document = request.body
    if request.by_rows:
        if "inputs" in document:
            raise invalid(
                f"JSON Value: {dump(document)} Not formatted correctly expecting only "
                "one of 'instances' or 'inputs' keys"
            )
        instances = document["instances"]
        if not isinstance(instances, list):
            raise invalid(
                f"JSON Value: {dump(document)} Expecting 'instances' to be an "
                "list/array"
            )
        if not instances:
            raise invalid(
                f"JSON Value: {dump(document)} No values in 'instances' array"
            )
        return _by_rows(instances, dtypes)
    if "inputs" in document:
        return _by_columns(document["inputs"], dtypes)
    raise invalid("Missing 'inputs' or 'instances' key")


def read_object(body: bytes) -> dict[str, Any]:
    """Return a body that must be a JSON object."""
    document = parse(body)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {dump(document)} Is not object")
    return document


def read_signature(document: dict[str, Any]) -> str:
    """Return the signature that a body names, `""` for the default one."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {dump(document)} not formatted correctly. 'signature_name' "
            "key must be a string value."
        )
    return name


def _by_columns(inputs: Any, dtypes: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(inputs, dict) or is_base64(inputs):
        if len(dtypes) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        ((name, dtype),) = dtypes.items()
        return {name: to_tensor(inputs, dtype)}
    for name in dtypes:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: to_tensor(inputs[name], dtype) for name, dtype in dtypes.items()}


def _by_rows(rows: list[Any], dtypes: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(rows[0], dict) and len(dtypes) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    named = _is_named(rows[0])
    columns = _columns(rows, dtypes, named)
    try:
        return {name: to_tensor(one, dtypes[name]) for name, one in columns.items()}
    except ServingError:
        # The message names the row: find the first one that can't be, or that is
        # unlike the first.
        firsts: dict[str, Any] = {}
        for index, row in enumerate(rows):
            for name, value in (row if named else {next(iter(columns)): row}).items():
                where = f"{index} key: {name}" if named else f"{index}"
                _check_row(value, name, dtypes[name], where, firsts)
        raise


def _is_named(row: Any) -> bool:
    return isinstance(row, dict) and not is_base64(row)


def _columns(
    rows: list[Any], dtypes: Mapping[str, str], named: bool
) -> dict[str, list[Any]]:
    for index, row in enumerate(rows):
        if named != _is_named(row):
            expected, got = "object", "list"
            if not named:
                expected, got = "value/list", "object"
            raise invalid(
                f"Expecting {expected} but got {got} at item {index} of input list"
            )
        if named and row.keys() != dtypes.keys():
            for name in row:
                if name not in dtypes:
                    raise invalid(
                        f"Failed to process element: {index} key: {name} of "
                        "'instances' list. Error: INVALID_ARGUMENT: JSON object: does "
                        f"not have named input: {name}"
                    )
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{dump(row)} keys must be equal to: {','.join(sorted(dtypes))}"
            )
    if not named:
        return {min(dtypes): rows}
    return {name: [row[name] for row in rows] for name in dtypes}


def _check_row(
    value: Any, name: str, dtype: str, where: str, firsts: dict[str, Any]
) -> None:
    try:
        tensor = to_tensor(value, dtype)
        first = firsts.setdefault(name, tensor)
        if tensor.size != first.size:
            raise invalid(f"Expecting tensor size: {first.size} but got: {tensor.size}")
        if tensor.shape != first.shape:
            raise invalid(f"Expecting shape {_shape(first)} but got: {_shape(tensor)}")
    except ServingError as error:
        raise invalid(
            f"Failed to process element: {where} of 'instances' list. Error: "
            f"{error.code}: {error.message}"
        ) from error


def _shape(tensor: Any) -> str:
    return "[" + ",".join(map(str, np.shape(tensor))) + "]"
