"""PyTorch's old file format, read without PyTorch and without running what is in it."""

import collections
import io
import os
import pickle

import numpy as np
import pytest

from mtlzoo.errors import WeightsError
from mtlzoo.hub import _torch_file
from mtlzoo.hub._torch_file import MAGIC, PROTOCOL, read_tensors


class Named:
    """Pickles as the global of that name, without importing it."""

    def __init__(self, module, name):
        self.text = f"c{module}\n{name}\n".encode()


class Writer(pickle._Pickler):
    """Writes what PyTorch wrote: persistent ids for storages, globals by name."""

    def persistent_id(self, obj):
        return obj if isinstance(obj, tuple) and obj[:1] == ("storage",) else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Named):
            self.write(obj.text)
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


class Call(collections.namedtuple("Call", ["function", "arguments"])):
    pass


def dump(obj):
    stream = io.BytesIO()
    Writer(stream, 2).dump(obj)
    return stream.getvalue()


def tensor(key, size, shape, strides, offset=0, kind="FloatStorage"):
    storage = ("storage", Named("torch", kind), key, "cpu", size, None)
    rest = (storage, offset, shape, strides, False, collections.OrderedDict())
    return Call(Named("torch._utils", "_rebuild_tensor_v2"), rest)


def content(tensors, buffers, magic=MAGIC, sizes=None):
    parts = [dump(one) for one in (magic, PROTOCOL, {}, tensors, list(buffers))]
    for key, array in buffers.items():
        size = (sizes or {}).get(key, array.size)
        parts.append(size.to_bytes(8, "little") + array.tobytes())
    return b"".join(parts)


VALUES = np.arange(6, dtype="float32")


def test_reads_any_order_in_memory():
    found = read_tensors(
        content(
            {
                "rows": tensor("0", 6, (2, 3), (3, 1)),
                "columns": tensor("0", 6, (2, 3), (1, 2)),
                "part": tensor("0", 6, (2,), (1,), offset=4),
                "count": tensor("1", 1, (), (), kind="LongStorage"),
            },
            {"0": VALUES, "1": np.array([7])},
        )
    )
    np.testing.assert_array_equal(found["rows"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["columns"], [[0, 2, 4], [1, 3, 5]])
    np.testing.assert_array_equal(found["part"], [4, 5])
    assert found["count"] == 7
    assert found["count"].dtype == "int64"


def test_runs_nothing(tmp_path):
    """A pickle may name any function; only what tensors need is known here."""
    target = tmp_path / "harm"
    bad = {"w": Call(Named("os", "mkdir"), (os.fspath(target),))}
    with pytest.raises(WeightsError, match=r"asks for os\.mkdir.*It was not loaded"):
        read_tensors(content(bad, {"0": VALUES}))
    assert not target.exists()


@pytest.mark.parametrize(
    ("made", "match"),
    [
        (lambda good: good[: len(good) - 4], "ends too early"),
        (lambda good: good[:40], "is damaged"),
        (lambda good: b"PK\x03\x04" + good, "is damaged"),
        (lambda good: content({}, {}, magic=1), "format before 1.6. Received a file"),
        (
            lambda good: content(
                {"w": tensor("0", 6, (6,), (1,))}, {"0": VALUES}, sizes={"0": 5}
            ),
            "a storage has a wrong size",
        ),
        (
            lambda good: content({"w": tensor("0", 6, (9,), (1,))}, {"0": VALUES}),
            "is damaged: IndexError",
        ),
    ],
)
def test_refuses_damaged_files(made, match):
    good = content({"w": tensor("0", 6, (6,), (1,))}, {"0": VALUES})
    assert list(read_tensors(good)) == ["w"]
    with pytest.raises(WeightsError, match=match):
        read_tensors(made(good))


def test_knows_each_kind_of_number():
    for kind, dtype in _torch_file.STORAGES.items():
        array = np.array([1, 2], dtype)
        made = content({"w": tensor("0", 2, (2,), (1,), kind=kind)}, {"0": array})
        np.testing.assert_array_equal(read_tensors(made)["w"], array)
