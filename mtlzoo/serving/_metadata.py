"""What the server says of a model: its signatures, and the state of its versions."""

from collections.abc import Iterable
from typing import Any

from tensorflow.core.framework import types_pb2

from mtlzoo.serving._models import Version
from mtlzoo.serving._servable import Servable


def status_json(versions: Iterable[Version]) -> dict[str, Any]:
    """Return the state of versions as the REST interface has it."""
    return {
        "model_version_status": [
            {
                "version": str(one.number),
                "state": one.state.name,
                "status": {
                    "error_code": one.error.code if one.error else "OK",
                    "error_message": one.error.message if one.error else "",
                },
            }
            for one in versions
        ]
    }


def metadata_json(servable: Servable) -> dict[str, Any]:
    """Return the signatures of a version as the REST interface has them."""
    return {
        "model_spec": {
            "name": servable.name,
            "version": str(servable.version),
            "signature_name": "",
        },
        "metadata": {
            "signature_def": {
                "signature_def": {
                    name: _signature(one) for name, one in servable.signatures.items()
                }
            }
        },
    }


def _signature(definition: Any) -> dict[str, Any]:
    return {
        "inputs": {name: _tensor(one) for name, one in definition.inputs.items()},
        "outputs": {name: _tensor(one) for name, one in definition.outputs.items()},
        "method_name": definition.method_name,
        "defaults": {
            name: {"dtype": types_pb2.DataType.Name(one.dtype)}
            for name, one in definition.defaults.items()
        },
    }


def _tensor(info: Any) -> dict[str, Any]:
    return {
        "name": info.name,
        "dtype": types_pb2.DataType.Name(info.dtype),
        "tensor_shape": {
            "dim": [
                {"size": str(one.size), "name": one.name}
                for one in info.tensor_shape.dim
            ],
            "unknown_rank": info.tensor_shape.unknown_rank,
        },
    }
