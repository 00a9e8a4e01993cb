"""What can't be exported, or answers otherwise, is refused and leaves nothing."""

import os
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import two_task_model

from mtlzoo import _staging, export
from mtlzoo.errors import DataError, ExportError
from mtlzoo.export._versions import publish_version


def functional(output=None, *, name="x", key=None, outputs=None):
    tensor = keras.Input((3,), name=name)
    made = keras.layers.Dense(2)(tensor) if output is None else output(tensor)
    inputs = {key: tensor} if key else tensor
    return keras.Model(inputs, outputs(made) if outputs else {"y": made})


class Eager(keras.layers.Layer):
    """Adds 1 unless it is in a graph: what a function of Python's own may do."""

    def call(self, inputs):
        return inputs + 1.0 if tf.executing_eagerly() else inputs + 0.0


class InPython(keras.layers.Layer):
    """Runs in Python, which a server hasn't got."""

    def call(self, inputs):
        found = tf.numpy_function(lambda array: array * 2, [inputs], tf.float32)
        found.set_shape(inputs.shape)
        return found

    def compute_output_shape(self, input_shape):
        return input_shape


class HidesItsTable(keras.layers.Layer):
    """Holds a lookup table where nothing finds it."""

    def __init__(self):
        super().__init__()
        values = tf.lookup.KeyValueTensorInitializer([0, 1], [1.0, 2.0], "int32")
        table = tf.lookup.StaticHashTable(values, 0.0)
        self.table = lambda: table

    def call(self, inputs):
        return inputs * self.table().lookup(tf.constant([1]))


def nan_model():
    model = functional()
    model.set_weights([np.full_like(one, np.nan) for one in model.get_weights()])
    return model


def unbuilt():
    return keras.Sequential([keras.layers.Dense(2)])


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (unbuilt, "functional Keras model that is built.*Received: Sequential"),
        (lambda: "model", "functional Keras model that is built.*Received: str"),
        (lambda: functional(outputs=lambda y: [y]), "outputs of .* have no names"),
        (
            lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
            "outputs of .* have no names.*'task': model.outputs",
        ),
        (lambda: functional(key="other"), "under the key 'other' must carry that name"),
        (lambda: functional(name="my-x"), "name of an input.*Received: 'my-x'"),
        (
            lambda: functional(outputs=lambda y: {"a b": y}),
            "name of an output.*Received: 'a b'",
        ),
        (nan_model, "itself predicts NaN for 'y'"),
        (lambda: functional(keras.ops.sum), "'y' must have one entry a row"),
        (
            lambda: functional(Eager()),
            r"answers otherwise than 'y'.*off by 1.*tolerance",
        ),
        (lambda: functional(HidesItsTable()), "Can't write .*'untracked' resource"),
        (lambda: functional(InPython()), "fails as TensorFlow Serving would run it"),
    ],
)
def test_model(make, message, tmp_path):
    with pytest.raises(ExportError, match=message):
        export.saved_model(make(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_golden_rows_that_do_not_fit(tmp_path):
    with pytest.raises(DataError, match="Missing: b"):
        export.saved_model(two_task_model(), tmp_path, golden={"a": np.ones((2, 4))})
    assert not list(tmp_path.iterdir())


class TestFolder:
    def test_file_in_the_way(self, tmp_path):
        (tmp_path / "served").write_text("a file")
        with pytest.raises(ExportError, match=r"Can't write in .*served"):
            export.saved_model(two_task_model(), tmp_path / "served" / "income")

    def test_file_of_that_name(self, tmp_path):
        (tmp_path / "served").write_text("a file")
        with pytest.raises(ExportError, match=r"Can't write in .*File exists"):
            export.saved_model(two_task_model(), tmp_path / "served")

    @pytest.mark.skipif(os.name != "posix", reason="a folder of Linux")
    def test_unwritable(self):
        with pytest.raises(ExportError, match="Choose a folder that you may write in"):
            export.saved_model(two_task_model(), "/proc/served")

    def test_not_local(self):
        with pytest.raises(
            ExportError, match=r"must be a local folder.*'gs://bucket/m'"
        ):
            export.saved_model(two_task_model(), "gs://bucket/m")


class TestVersion:
    def test_next_number_skips_what_is_no_version(self, tmp_path):
        for name in ("0003", "7.tmp", "notes", ".hidden"):
            (tmp_path / name).mkdir()
        assert export.saved_model(two_task_model(), tmp_path).name == "4"
        (tmp_path / ".new").mkdir()
        assert publish_version(tmp_path / ".new", tmp_path, 12).name == "12"

    @pytest.mark.parametrize("version", [0, -1, 1.5, True, "2"])
    def test_no_number(self, version, tmp_path):
        with pytest.raises(ExportError, match=r"whole number of at least 1. Received"):
            export.saved_model(two_task_model(), tmp_path, version=version)

    def test_taken(self, tmp_path):
        (tmp_path / "0003").mkdir()
        with pytest.raises(ExportError, match=r"Version 3 is in .* already"):
            export.saved_model(two_task_model(), tmp_path, version=3)

    def test_taken_by_another_process_meanwhile(self, tmp_path):
        """Publishing meets a folder that wasn't there when the version was chosen."""
        (tmp_path / "new").mkdir()
        (tmp_path / "3").mkdir()
        (tmp_path / "3" / "saved_model.pb").touch()
        with pytest.raises(ExportError, match=r"Version 3 is in .* already"):
            publish_version(tmp_path / "new", tmp_path, 3)

    def test_many_publish_at_once(self, tmp_path):
        """Each takes a number of its own, whoever is first."""
        base = tmp_path / "served"
        base.mkdir()
        folders = [tmp_path / f"new_{index}" for index in range(40)]
        for folder in folders:
            folder.mkdir()
            (folder / "saved_model.pb").touch()
        with ThreadPoolExecutor(8) as pool:
            found = list(
                pool.map(lambda one: publish_version(one, base, None), folders)
            )
        assert sorted(int(one.name) for one in found) == list(range(1, 41))

    def test_gone_before_it_was_published(self, tmp_path):
        with pytest.raises(ExportError, match=r"Can't write in .*No such file"):
            publish_version(tmp_path / "nothing", tmp_path, None)


def test_abandoned_folders_are_removed_after_a_day(tmp_path):
    old, young = tmp_path / ".mtlzoo-old", tmp_path / ".mtlzoo-young"
    for folder in (old, young):
        (folder / "model").mkdir(parents=True)
    day_ago = old.stat().st_mtime - _staging.ABANDONED_AFTER - 1
    os.utime(old, (day_ago, day_ago))
    with _staging.staging(tmp_path) as stage:
        assert stage.is_dir()
        assert not old.exists()
    assert list(tmp_path.iterdir()) == [young]
