"""What TensorFlow Serving's own core answered, request by request."""

import json
from pathlib import Path

DATA = Path(__file__).parent / "data"
JSON_TENSOR = json.loads((DATA / "json_tensor.json").read_text("utf-8"))
SERVER = json.loads((DATA / "server.json").read_text("utf-8"))

_DTYPES = {"str": "string", "bf16": "bfloat16", "bool": "bool"}


def dtype_named(short):
    """Return TensorFlow's name for the short one of the golden files."""
    if short in _DTYPES:
        return _DTYPES[short]
    kind = {"f": "float", "i": "int", "u": "uint"}[short[0]]
    return kind + short[1:]
