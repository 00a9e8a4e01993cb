"""SavedModels as frozen bases: what they give, and that they travel."""

import shutil

import fresh
import keras
import numpy as np
import pytest
import tensorflow as tf
from bundles.made import info

import mtlzoo
from mtlzoo import features, heads, tasks, transfer, trunks
from mtlzoo._bundles import MetricInfo
from mtlzoo.errors import (
    BundleError,
    DataError,
    OptionError,
    UnknownNameError,
    WeightsError,
)
from mtlzoo.trunks._pretrained import _frozen

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
LABELS = {"sharp": np.array([0, 1, 1, 0]), "bright": np.array([1, 1, 0, 0])}
FEATURES = {"arguments": {"signature": "features"}}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return the folder of an exported model, and that model."""
    model = build(trunks.CNN((4, 6)))
    model.fit({"photo": PIXELS}, LABELS, verbose=0)
    folder = tmp_path_factory.mktemp("serving") / "photos"
    mtlzoo.export.saved_model(model, folder, warmup=False)
    return folder, model


def build(trunk, **changes):
    options = {
        "inputs": {"photo": features.Image((16, 16, 3))},
        "tasks": [tasks.Binary("sharp"), tasks.Binary("bright")],
        "head": heads.Tower(()),
    }
    return mtlzoo.build("shared_bottom", trunk=trunk, **{**options, **changes})


def on(folder, **options):
    options = {"trainable": False, "output": "sharp", **FEATURES, **options}
    return build(trunks.Pretrained(folder, **options))


def write(folder, function, *specs):
    module = tf.Module()
    module.function = tf.function(function)
    signature = module.function.get_concrete_function(*specs)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})
    return folder


def photos(dtype=tf.float32):
    return tf.TensorSpec((None, 16, 16, 3), dtype, name="photo")


def test_gives_the_features_that_the_other_model_serves(exported):
    folder, model = exported
    made = on(folder)
    found = made.representations({"photo": PIXELS}, verbose=0)["bright"]
    expected = model.representations({"photo": PIXELS}, verbose=0)["sharp"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(made.weights) == 4  # of the two heads
    version = on(folder / "1").representations({"photo": PIXELS}, verbose=0)["sharp"]
    np.testing.assert_allclose(version, expected, atol=1e-5)


def test_heads_train_on_it_and_on_its_cached_features(exported, tmp_path):
    folder, _ = exported
    made = on(folder)
    stored = made.get_layer("trunk.saved_model").stored
    before = [one.numpy() for one in stored.loaded.signatures["features"].variables]
    history = made.fit({"photo": PIXELS}, LABELS, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    after = [one.numpy() for one in stored.loaded.signatures["features"].variables]
    assert before
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    cached = transfer.cache_features(
        made, ({"photo": PIXELS}, LABELS), tmp_path / "cached", progress=False
    )
    transfer.head_model(made).fit(cached.batches(2), verbose=0)


RELOAD = """
import mtlzoo, keras, numpy as np
model = keras.saving.load_model(folder / "model.keras")
stored = np.load(folder / "stored.npz")
x = {"photo": stored["x"]}
np.testing.assert_allclose(model.predict(x, verbose=0)["sharp"], stored["y"], atol=1e-5)
model.save(folder / "again.keras")
mtlzoo.export.saved_model(model, folder / "served", warmup=False)
"""


def test_travels_without_the_original(exported, tmp_path):
    """In a `.keras` file and in an export: the original is deleted before they load."""
    shutil.copytree(exported[0], tmp_path / "original")
    made = on(tmp_path / "original")
    shutil.rmtree(tmp_path / "original")
    y = made.predict({"photo": PIXELS}, verbose=0)["sharp"]
    made.save(tmp_path / "model.keras")
    np.savez(tmp_path / "stored.npz", x=PIXELS, y=y)
    fresh.run(RELOAD, folder=tmp_path)
    again = keras.saving.load_model(tmp_path / "again.keras")
    np.testing.assert_allclose(
        again.predict({"photo": PIXELS}, verbose=0)["sharp"], y, atol=1e-5
    )
    with mtlzoo.export.load(tmp_path / "served") as served:
        np.testing.assert_allclose(served({"photo": PIXELS})["sharp"], y, atol=1e-5)


def test_tables_travel_too(tmp_path):
    """A table that is filled from a file of the SavedModel's own."""
    words = tmp_path / "words.txt"
    words.write_text("good\nbad\n")

    class Words(tf.Module):
        def __init__(self):
            super().__init__()
            entries = tf.lookup.TextFileInitializer(
                str(words),
                *(tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
                *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
            )
            self.table = tf.lookup.StaticHashTable(entries, -1)
            self.vectors = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "word")])
        def __call__(self, word):
            return {"vector": tf.gather(self.vectors, self.table.lookup(word) + 1)}

    module = Words()
    tf.saved_model.save(
        module,
        str(tmp_path / "words"),
        signatures={"serving_default": module.__call__.get_concrete_function()},
    )
    words.unlink()
    made = build(
        trunks.Pretrained(tmp_path / "words", False),
        inputs={"word": features.Text()},
        tasks=[tasks.Binary("kind")],
    )
    shutil.rmtree(tmp_path / "words")
    x = {"word": np.array(["bad", "new", "good"])}
    found = made.representations(x, verbose=0)["kind"]
    np.testing.assert_array_equal(found, [[5.0, 6.0], [1.0, 2.0], [3.0, 4.0]])
    expected = made.predict(x, verbose=0)["kind"]
    mtlzoo.export.saved_model(made, tmp_path / "served", warmup=False)
    made.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0)["kind"], expected, atol=1e-6)
    with mtlzoo.export.load(tmp_path / "served") as served:
        np.testing.assert_allclose(served(x)["kind"], expected, atol=1e-5)


class TestRefuses:
    @pytest.mark.parametrize(
        ("options", "error", "match"),
        [
            (
                {"trainable": True},
                OptionError,
                r"with trainable=False. Received: .*True",
            ),
            ({"trainable": "last:1"}, OptionError, "Received: trainable='last:1'"),
            (
                {"weights": None},
                OptionError,
                r"has its weights in it. Received: weig",
            ),
            ({"arguments": {}}, OptionError, "Choose one signature .*'signature': '"),
            ({"output": None}, OptionError, "Choose one output .* by output='bright'"),
            ({"output": "shap"}, UnknownNameError, "Did you mean 'sharp'"),
            (
                {"arguments": {"signature": "feature"}},
                UnknownNameError,
                "no signature 'feature' of 'photos'. Did you mean 'features'",
            ),
            (
                {"arguments": {"sign": "x"}},
                OptionError,
                "no argument 'sign' of the base",
            ),
        ],
    )
    def test_options(self, exported, options, error, match):
        with pytest.raises(error, match=match):
            on(exported[0], **options)

    def test_inputs_of_another_kind(self, exported):
        trunk = trunks.Pretrained(exported[0], False, output="sharp", **FEATURES)
        with pytest.raises(DataError, match=r"takes photo \(image\). Received: age"):
            build(trunk, inputs={"age": ()})

    @pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.index"])
    def test_damaged_files(self, exported, tmp_path, file):
        folder = tmp_path / "damaged"
        shutil.copytree(exported[0] / "1", folder)
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[: len(content) // 2])
        with pytest.raises(WeightsError, match=r"is no SavedModel|can't load the Sav"):
            on(folder)
        (folder / "saved_model.pb").unlink()
        with pytest.raises(WeightsError, match="There is no base at"):
            trunks.Pretrained(folder)

    def test_what_does_more_than_compute(self, exported, tmp_path):
        def reads(photo):
            size = tf.strings.length(tf.io.read_file("/etc/hostname"))
            return {"y": tf.reduce_mean(photo, [1, 2]) + tf.cast(size, "float32")}

        folder = write(tmp_path / "reads", reads, photos())
        with pytest.raises(WeightsError, match=r"holds ReadFile. Such a one can't be"):
            on(folder, output=None, arguments={})
        # Nor is it loaded from a .keras file that somebody made.
        layer = on(exported[0]).get_layer("trunk.saved_model")
        shutil.move(folder, tmp_path / "saved_model")
        with pytest.raises(WeightsError, match="holds ReadFile"):
            layer.load_assets(str(tmp_path))

    def test_outputs_and_batches_that_fit_nothing(self, tmp_path):
        folder = write(
            tmp_path / "ids", lambda photo: {"y": tf.argmax(photo, -1)}, photos()
        )
        with pytest.raises(WeightsError, match="The output 'y' of 'ids' is int64"):
            on(folder, output=None, arguments={})
        fixed = tf.TensorSpec((1, 16, 16, 3), name="photo")
        folder = write(
            tmp_path / "one", lambda photo: {"y": tf.reduce_mean(photo, [1, 2])}, fixed
        )
        with pytest.raises(
            WeightsError, match=r"batches of any size. The input 'photo'"
        ):
            on(folder, output=None, arguments={})
        tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
        with pytest.raises(WeightsError, match="There is no signature of 'empty'"):
            on(tmp_path / "empty", output=None, arguments={})

    def test_a_config_alone(self, exported, monkeypatch):
        made = on(exported[0])
        monkeypatch.setattr(_frozen, "_living", {})  # as in another process
        copy = type(made).from_config(made.get_config())
        with pytest.raises(WeightsError, match="isn't here: it is in the"):
            copy.predict({"photo": PIXELS}, verbose=0)

    def test_files_of_another_saved_model(self, exported, tmp_path):
        layer = on(exported[0]).get_layer("trunk.saved_model")
        write(
            tmp_path / "saved_model",
            lambda photo: {"y": tf.reduce_mean(photo, [1, 2])},
            photos(),
        )
        with pytest.raises(WeightsError, match="is another one than the model"):
            layer.load_assets(str(tmp_path))

    def test_a_bundle(self, exported, tmp_path):
        made = on(exported[0])
        metrics = [MetricInfo(name, "auc", 0.5, "toy") for name in ("sharp", "bright")]
        with pytest.raises(BundleError, match="names 'mtlzoo>FrozenSavedModel'"):
            mtlzoo.hub.publish(
                made,
                tmp_path,
                info("shared_bottom.photos", metrics=metrics),
                examples={"photo": PIXELS},
            )
