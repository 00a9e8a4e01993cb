"""Tensors of a PyTorch file of the format before 1.6, read by NumPy alone.

Such a file is pickled, and a pickle can run any code when it is loaded. The reader
here knows the handful of names that a dict of tensors needs, and refuses all others;
PyTorch itself isn't needed.
"""

import collections
import io
import pickle
from typing import Any

import numpy as np

from mtlzoo.errors import WeightsError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


def read_tensors(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a `state_dict`, by name.

    Raises:
        WeightsError: it isn't a file of that format, names something that isn't a
            tensor, or ends too early.
    """
    stream = io.BytesIO(content)
    try:
        start = _Tensors(stream).load(), _Tensors(stream).load()
        if start != (MAGIC, PROTOCOL):
            raise WeightsError(
                "Expected a PyTorch file of the format before 1.6. Received a file "
                f"that begins with {start}."
            )
        _Tensors(stream).load()  # about the machine that wrote it
        reader = _Tensors(stream)
        tensors = reader.load()
        buffers = {
            key: _read(stream, *reader.storages[key]) for key in _Tensors(stream).load()
        }
        return {name: _array(buffers, *tensor) for name, tensor in tensors.items()}
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle may raise almost anything
        raise WeightsError(f"The PyTorch file is damaged: {error!r}") from error


class _Tensors(pickle.Unpickler):
    """Gives a tensor as a tuple: key of its storage, offset, shape and strides."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.storages: dict[str, tuple[str, int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *arguments: arguments[:4]
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise WeightsError(
            f"The file asks for {module}.{name}, which no tensor needs; loading it "
            "could run code. It was not loaded."
        )

    def persistent_load(self, pid: Any) -> str:
        _, dtype, key, _, size, *_ = pid
        self.storages[key] = (dtype, size)
        return str(key)


def _read(stream: io.BytesIO, dtype: str, size: int) -> np.ndarray:
    if int.from_bytes(stream.read(8), "little") != size:
        raise WeightsError("The PyTorch file is damaged: a storage has a wrong size.")
    raw = stream.read(size * np.dtype(dtype).itemsize)
    if len(raw) < size * np.dtype(dtype).itemsize:
        raise WeightsError("The PyTorch file ends too early; fetch it again.")
    return np.frombuffer(raw, dtype)


def _array(
    buffers: dict[str, np.ndarray], key: str, offset: int, shape: Any, strides: Any
) -> np.ndarray:
    # By index, not by `as_strided`: NumPy then checks that nothing is read beyond.
    index = np.full(shape, offset)
    for axis, stride in enumerate(strides):
        steps = np.arange(shape[axis]) * stride
        index += steps.reshape([-1 if i == axis else 1 for i in range(index.ndim)])
    return buffers[key][index]
