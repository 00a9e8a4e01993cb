"""Tensors of the gRPC protocol to arrays, and back."""

import math
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from mtlzoo.serving._errors import invalid

MAX_RANK = 64
MAX_BYTES = 1 << 30
"""Of one tensor. A few bytes of a request can stand for a tensor of any size."""

_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_STRING: "string_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_HALF: "half_val",
    types_pb2.DT_BFLOAT16: "half_val",
    **dict.fromkeys(
        [
            types_pb2.DT_INT32,
            types_pb2.DT_INT16,
            types_pb2.DT_INT8,
            types_pb2.DT_UINT16,
            types_pb2.DT_UINT8,
        ],
        "int_val",
    ),
}
_HALVES = (types_pb2.DT_HALF, types_pb2.DT_BFLOAT16)


def to_array(proto: tensor_pb2.TensorProto) -> Any:
    """Return the array that a proto stands for, `object` of bytes for strings.

    Values may be left out at the end: the last one is repeated, none at all are zeros.

    Raises:
        ServingError: shape and values don't fit, or there is no such type.
    """
    if proto.dtype not in _FIELDS:
        raise invalid(f"Unsupported tensor type: {_name(proto.dtype)}")
    numpy_dtype = np.dtype(tf.as_dtype(proto.dtype).as_numpy_dtype)
    shape = tuple(one.size for one in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise invalid(f"Tensor has no shape of known sizes: {list(shape)}")
    size = math.prod(shape)
    if len(shape) > MAX_RANK or size * max(numpy_dtype.itemsize, 1) > MAX_BYTES:
        raise invalid(f"Tensor of shape {list(shape)[:MAX_RANK]} is too large")
    if proto.tensor_content:
        if proto.dtype == types_pb2.DT_STRING:
            raise invalid("Strings stand in string_val, not in tensor_content")
        if len(proto.tensor_content) != size * numpy_dtype.itemsize:
            raise invalid(
                f"Input tensor of shape {list(shape)} has {len(proto.tensor_content)} "
                f"bytes of content; it takes {size * numpy_dtype.itemsize}"
            )
        return np.frombuffer(proto.tensor_content, numpy_dtype).reshape(shape)
    return _from_values(proto, numpy_dtype, size).reshape(shape)


def to_proto(array: Any) -> tensor_pb2.TensorProto:
    """Return an array as a proto with one entry a value, as the server sends them."""
    dtype = tf.as_dtype(array.dtype).as_datatype_enum
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if dtype not in _FIELDS:
        raise invalid(f"Unsupported tensor type: {_name(dtype)}")
    flat = array.ravel()
    values = flat.view(np.uint16) if dtype in _HALVES else flat
    getattr(proto, _FIELDS[dtype]).extend(values.tolist())
    return proto


def _from_values(proto: tensor_pb2.TensorProto, dtype: Any, size: int) -> Any:
    values = getattr(proto, _FIELDS[proto.dtype])
    count = min(len(values), size)
    if proto.dtype == types_pb2.DT_STRING:
        strings = np.empty(size, object)
        strings[:] = b"" if not values else values[-1]
        strings[:count] = values[:count]
        return strings
    if not count:
        return np.zeros(size, dtype)
    if proto.dtype in _HALVES:
        given = np.array(values[:count], np.uint32).astype(np.uint16).view(dtype)
    else:
        wide = np.int64 if _FIELDS[proto.dtype] == "int_val" else dtype
        given = np.array(values[:count], wide).astype(dtype)
    if count == size:
        return given
    array = np.full(size, given[-1])
    array[:count] = given
    return array


def _name(dtype: int) -> str:
    return (
        types_pb2.DataType.Name(dtype)
        if dtype in types_pb2.DataType.values()
        else str(dtype)
    )
