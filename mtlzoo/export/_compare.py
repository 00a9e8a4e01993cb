from collections.abc import Mapping
from typing import Any

import numpy as np

from mtlzoo.errors import ExportError


def compare(
    expected: Mapping[str, Mapping[str, Any]],
    answers: Mapping[str, Any],
    tolerance: float,
) -> None:
    """Refuse an export whose answers aren't those of its model.

    Args:
        expected: arrays by signature and output.
        answers: as `Answering.answers` returns them.
        tolerance: the largest difference that passes; relative above 1.

    Raises:
        ExportError: saying what is off.
    """
    for signature, outputs in expected.items():
        for name, wanted in outputs.items():
            for suffix in ("", "/0"):
                found = answers[f"{signature}/{name}{suffix}"]
                _compare_one(signature, name, wanted, found, bool(suffix), tolerance)


def _compare_one(
    signature: str, name: str, wanted: Any, found: Any, alone: bool, tolerance: float
) -> None:
    rows = len(wanted) if wanted.ndim and not alone else 1
    if wanted.ndim == 0 or found.ndim == 0 or len(found) != rows:
        raise ExportError(
            f"Output {name!r} must have one entry a row; of a batch of {rows} rows "
            f"its shape is {found.shape}. TensorFlow Serving couldn't split it into "
            "answers."
        )
    wanted = wanted[: len(found)]
    if wanted.dtype.kind != "f":
        wanted = wanted.astype(found.dtype)
        agrees, off = np.array_equal(wanted, found), "other values"
    else:
        wanted = wanted.astype("float32")
        if np.isnan(wanted).any():
            raise ExportError(
                f"The model itself predicts NaN for {name!r} on golden rows. Look at "
                "its weights and at those rows; it was not published."
            )
        agrees = np.allclose(wanted, found, rtol=tolerance, atol=tolerance)
        off = f"off by {np.max(np.abs(wanted - found)):.3g}"
    if not agrees:
        raise ExportError(
            f"The exported model answers otherwise than {name!r} of the model: {off}, "
            f"in signature {signature!r}. It was not published. A model of lower "
            f"precision may need more than tolerance={tolerance}."
        )
