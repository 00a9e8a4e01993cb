"""What a signature takes and gives, as clients know it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

_DTYPES = {"FLOAT": "float32", "DOUBLE": "float64", "HALF": "float16"}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        dtype: such as `"float32"` or `"string"`.
        shape: the size of each axis, `None` where any will do, which the first one,
            the rows, mostly is; `None` for any number of axes.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


@dataclasses.dataclass(frozen=True)
class Signature:
    """One way to call a model.

    Attributes:
        method: `"predict"`, `"classify"` or `"regress"`.
        inputs: by name.
        outputs: by name; for an export of mtlzoo, the names of the tasks.
    """

    method: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


def from_metadata(metadata: Mapping[str, Any]) -> dict[str, Signature]:
    """Return signatures by name from what the REST interface says of a model."""
    definitions = metadata["metadata"]["signature_def"]["signature_def"]
    return {
        name: Signature(
            one["method_name"].rpartition("/")[2],
            _tensors(one["inputs"]),
            _tensors(one["outputs"]),
        )
        for name, one in sorted(definitions.items())
        if one["method_name"]
    }


def _tensors(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        name: Tensor(_dtype(one["dtype"]), _shape(one["tensor_shape"]))
        for name, one in sorted(tensors.items())
    }


def _dtype(name: str) -> str:
    bare = name.removeprefix("DT_")
    return _DTYPES.get(bare, bare.lower())


def _shape(shape: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    if shape.get("unknown_rank"):
        return None
    sizes = (int(one["size"]) for one in shape.get("dim", ()))
    return tuple(None if size < 0 else size for size in sizes)
