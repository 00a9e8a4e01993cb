"""Features that are computed once, kept on disk, and never taken for others."""

import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import INPUTS, raw_inputs
from networks import images, moved, values, vectors

import mtlzoo
from mtlzoo import balancing, tasks, transfer
from mtlzoo.errors import DataError, ExportError, OptionError


def frozen(**options):
    model, x, y = images(**options)
    model.fit(x, y, verbose=0)
    transfer.freeze(model)
    return model, x, y


def sequences(feature, dtype, shape=()):
    """Return a model whose upper stage is trained, and batches of other lengths."""
    keras.utils.set_random_seed(0)
    model = mtlzoo.build(
        "shared_bottom",
        inputs={"series": feature},
        tasks=[tasks.Binary("click")],
        trunk=mtlzoo.trunks.Transformer(2, width=8, num_heads=2, feedforward=8),
    )
    transfer.set_trainable(model, "stage:block_2")
    random = np.random.default_rng(0)

    def batch(steps):
        series = random.uniform(0, 9, (3, steps, *shape)).astype(dtype)
        series[0, 2:] = 0
        return {"series": series}, {"click": np.array([0, 1, 1])}

    batches = [batch(steps) for steps in (4, 6, 3)]
    spec = {"series": tf.TensorSpec((None, None, *shape), dtype)}
    labels = {"click": tf.TensorSpec((None,), "int64")}
    return model, tf.data.Dataset.from_generator(
        lambda: iter(batches), output_signature=(spec, labels)
    )


def cached(model, x, y, folder, **options):
    return transfer.cache_features(model, (x, y), folder, progress=False, **options)


@pytest.mark.parametrize(
    "method",
    ["uncertainty", balancing.MGDA(gradients="representation")],
    ids=repr,
)
def test_heads_trained_on_features_are_those_of_the_model(method, tmp_path):
    model, x, y = frozen(balancing=method)
    expected = model.predict(x, verbose=0)
    features = cached(model, x, y, tmp_path / "features", batch_size=5)
    assert len(features) == 16
    assert {name: one.shape for name, one in features.x.items()} == {
        "trunk_average": (16, 16)
    }
    heads = transfer.head_model(model)
    found = heads.predict(features.x, verbose=0)
    for task, prediction in expected.items():
        np.testing.assert_allclose(found[task], prediction, atol=1e-6)

    trunk, others = values(model, "trunk"), values(model, "heads")
    heads.fit(features.batches(8, shuffle=True), epochs=3, verbose=0)
    assert not moved(model, trunk)
    assert len(moved(model, others)) == len(others)
    trained = model.predict(x, verbose=0)
    for task, prediction in heads.predict(features.x, verbose=0).items():
        np.testing.assert_allclose(trained[task], prediction, atol=1e-6)


def test_training_on_features_is_training_on_inputs(tmp_path):
    weights = []
    for by_cache in (False, True):
        keras.utils.set_random_seed(0)
        model, x, y = frozen()
        if by_cache:
            features = cached(model, x, y, tmp_path / "features")
            transfer.head_model(model).fit(features.batches(4), epochs=3, verbose=0)
        else:
            model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_sharing_above_the_trunk_is_trained_on_features(tmp_path):
    model, x, y = vectors(architecture="mmoe", num_experts=2, balancing="pcgrad")
    transfer.freeze(model)
    features = cached(model, x, y, tmp_path / "features")
    heads = transfer.head_model(model)
    assert type(heads.balancing) is type(model.balancing)
    before = values(model, "sharing")
    heads.fit(features.batches(8), verbose=0)
    assert moved(model, before)


def test_upper_stages_may_be_trained(tmp_path):
    model, x, y = images()
    transfer.set_trainable(model, "stage:stage_3")
    features = cached(model, x, y, tmp_path / "features")
    assert {one.shape for one in features.x.values()} == {(16, 4, 4, 8)}
    heads = transfer.head_model(model)
    before = values(model, "trunk")
    heads.fit(features.batches(8), verbose=0)
    assert all("stage_3" in path for path in moved(model, before))
    assert moved(model, before)


class TestWhatIsThere:
    def test_is_used_again(self, tmp_path):
        model, x, y = frozen()
        folder = tmp_path / "features"
        first = cached(model, x, y, folder)
        written = (folder / "features.json").stat().st_mtime_ns
        # Heads don't matter, nor does how the model came here.
        model.get_layer("heads.click.logits").bias.assign([3.0])
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        second = cached(again, x, y, folder, batch_size=3)
        assert (folder / "features.json").stat().st_mtime_ns == written
        np.testing.assert_array_equal(
            first.x["trunk_average"], second.x["trunk_average"]
        )
        np.testing.assert_array_equal(second.y["click"].ravel(), y["click"])
        assert repr(second).startswith(
            f"CachedFeatures({str(folder)!r}, rows=16, trunk"
        )

    def test_of_another_base_is_refused(self, tmp_path):
        model, x, y = frozen()
        cached(model, x, y, tmp_path / "features")
        model.get_layer("trunk.stem.norm").moving_mean.assign(np.ones(4))
        with pytest.raises(DataError, match="are of another base"):
            cached(model, x, y, tmp_path / "features")

    def test_of_other_data_is_refused(self, tmp_path):
        model, x, y = frozen()
        cached(model, x, y, tmp_path / "features")
        other = x["photo"].copy()
        other[3, 2, 1, 0] += 1e-3
        for changed in ({"photo": other}, {"photo": x["photo"][::-1]}):
            with pytest.raises(
                DataError, match="are of other data, or of this data in"
            ):
                cached(model, changed, y, tmp_path / "features")
        with pytest.raises(DataError, match="are of other data"):
            cached(model, x, {**y, "click": 1 - y["click"]}, tmp_path / "features")

    def test_that_is_damaged_or_something_else_is_refused(self, tmp_path):
        model, x, y = frozen()
        folder = tmp_path / "features"
        cached(model, x, y, folder)
        column = folder / "x.trunk_average.bin"
        column.write_bytes(column.read_bytes()[:-4])
        with pytest.raises(DataError, match="is damaged: expected 1024 bytes"):
            cached(model, x, y, folder)
        manifest = folder / "features.json"
        manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
        with pytest.raises(DataError, match="another version of mtlzoo wrote"):
            cached(model, x, y, folder)
        with pytest.raises(DataError, match="is there and holds no features"):
            cached(model, x, y, tmp_path)


class TestInputs:
    def test_pipelines_and_weights(self, tmp_path, capsys):
        model, x, y = frozen()
        weights = {"click": np.linspace(0, 1, 16, dtype="float32")}
        whole = transfer.cache_features(
            model, (x, y, weights), tmp_path / "arrays", batch_size=4
        )
        assert "features" in capsys.readouterr().err
        rows = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(3)
        streamed = transfer.cache_features(
            model, rows, tmp_path / "rows", progress=False
        )
        for one, other in zip(whole.x.values(), streamed.x.values(), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
        np.testing.assert_array_equal(streamed.sample_weight["click"], weights["click"])
        transfer.head_model(model).fit(streamed.batches(8), verbose=0)

    def test_texts_and_numbers(self, tmp_path):
        model = mtlzoo.build(
            "shared_bottom", inputs=INPUTS["table"], tasks=[tasks.Binary("click")]
        )
        transfer.freeze(model)
        x, y = raw_inputs("table"), {"click": np.arange(16) % 2}
        first = cached(model, x, y, tmp_path / "features")
        cached(model, x, y, tmp_path / "features")
        x["review"][0] = "another"
        with pytest.raises(DataError, match="are of other data"):
            cached(model, x, y, tmp_path / "features")
        expected = model.predict(raw_inputs("table"), verbose=0)["click"]
        found = transfer.head_model(model).predict(first.x, verbose=0)["click"]
        np.testing.assert_allclose(found, expected, atol=1e-6)

    def test_lengths_that_differ_between_batches(self, tmp_path):
        """A row is as long as the longest of its batch; a mask says where it ends."""
        model, batches = sequences(mtlzoo.Tokens(9), "int32")
        folder = tmp_path / "features"
        first = transfer.cache_features(model, batches, folder, progress=False)
        assert {one.shape[1] for one in first.x.values()} == {6}
        expected = np.concatenate([model(x)["click"] for x, _ in batches])
        heads = transfer.head_model(model)
        found = heads.predict(first.x, verbose=0)["click"]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        heads.save(tmp_path / "heads.keras")
        loaded = keras.saving.load_model(tmp_path / "heads.keras")
        found = loaded.predict(first.x, verbose=0)["click"]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        heads.fit(first.batches(3), verbose=0)
        # Keras names what makes a mask anew in each model.
        again, _ = sequences(mtlzoo.Tokens(9), "int32")
        written = (folder / "features.json").stat().st_mtime_ns
        transfer.cache_features(again, batches, folder, progress=False)
        assert (folder / "features.json").stat().st_mtime_ns == written

    def test_lengths_that_differ_without_a_mask(self, tmp_path):
        model, batches = sequences(mtlzoo.Sequence((None, 4)), "float32", (4,))
        with pytest.raises(
            DataError, match=r"one shape in all batches, .* \(4, 8\) and \(6, 8\)\. Pad"
        ):
            transfer.cache_features(model, batches, tmp_path / "one", progress=False)
        assert not list(tmp_path.iterdir())

    def test_what_is_not_frozen_has_no_features(self, tmp_path):
        model, x, y = images()
        with pytest.raises(OptionError, match="Nothing of 'shared_bottom' is frozen"):
            cached(model, x, y, tmp_path / "features")
        with pytest.raises(OptionError, match="Nothing of 'shared_bottom' is frozen"):
            transfer.head_model(model)

    def test_labels_and_rows_are_needed(self, tmp_path):
        model, x, y = frozen()
        for data in (x, tf.data.Dataset.from_tensor_slices(x).batch(4)):
            with pytest.raises(DataError, match="Features are cached with the labels"):
                transfer.cache_features(model, data, tmp_path / "one", progress=False)
        none = tf.data.Dataset.from_tensor_slices((x, y)).batch(4).take(0)
        with pytest.raises(DataError, match="There is no row"):
            transfer.cache_features(model, none, tmp_path / "one", progress=False)
        assert not list(tmp_path.iterdir())

    def test_a_folder_that_cannot_be_is_said(self, tmp_path):
        model, x, y = frozen()
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(ExportError, match="Can't write in"):
            cached(model, x, y, tmp_path / "file" / "features")


KILLED = """
import sys, time
import numpy as np, tensorflow as tf
from networks import images
from mtlzoo import transfer

model, x, y = images()
transfer.freeze(model)
rows = tf.data.Dataset.from_tensor_slices((x, y)).batch(1)
slow = rows.map(lambda *row: (tf.py_function(lambda: time.sleep(0.5), [], []), row)[1])
transfer.cache_features(model, slow, sys.argv[1])
"""


def test_a_killed_run_leaves_nothing(tmp_path):
    tests = Path(__file__).parent
    folders = [tests, tests.parent, Path(mtlzoo.__file__).parents[1]]
    folder = tmp_path / "features"
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        stderr=subprocess.DEVNULL,
    )
    while run.poll() is None and not list(tmp_path.glob(".mtlzoo-*/features/*.bin")):
        time.sleep(0.05)
    assert run.poll() is None, "it ended before it could be killed"
    run.kill()
    run.wait()
    assert not folder.exists()
    model, x, y = frozen()
    assert len(cached(model, x, y, folder)) == 16
