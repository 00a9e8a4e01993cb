"""The signatures beside those for raw rows: examples, pictures, representations."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import INPUTS, raw_inputs, two_task_model
from offers import check_offer
from tensorflow.core.protobuf import saved_model_pb2

import mtlzoo
from mtlzoo import export, features, tasks, trunks
from mtlzoo.errors import ExportError
from mtlzoo.export._examples import find_heads
from mtlzoo.export._images import find_picture
from mtlzoo.export._offer import Offer

ALIASES = [
    ("classify_topic", "tensorflow/serving/classify", ["classes", "scores"]),
    ("classify_click", "tensorflow/serving/classify", ["classes", "scores"]),
    ("regress_price", "tensorflow/serving/regress", ["outputs"]),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A model of three tasks on raw columns, and its export."""
    model = mtlzoo.build(
        "shared_bottom",
        inputs={
            "age": features.Numeric(mean=40.0, variance=100.0),
            "job": features.Categorical(["clerk", "nurse"]),
            "code": features.Categorical([10, 20]),
        },
        tasks=[
            tasks.Multiclass("topic", ["art", "law", "sport"]),
            tasks.Binary("click"),
            tasks.Regression("price"),
        ],
        trunk=trunks.Tabular((8,)),
    )
    return model, export.saved_model(model, tmp_path_factory.mktemp("shop"))


def example(age, job, code):
    found = tf.train.Example()
    found.features.feature["age"].float_list.value.append(age)
    found.features.feature["job"].bytes_list.value.append(job)
    found.features.feature["code"].int64_list.value.append(code)
    return found.SerializeToString()


def signatures(folder):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0].signature_def


class TestExamples:
    def test_classes_scores_and_values(self, shop):
        model, folder = shop
        inputs = {"inputs": [example(30.0, b"clerk", 20), example(0.0, b"new", 10)]}
        rows = {"age": [30.0, 0.0], "job": ["clerk", "new"], "code": [20, 10]}
        expected = model.predict(rows, verbose=0)
        with export.load(folder) as exported:
            topic = exported(inputs, "classify_topic")
            click = exported(inputs, "classify_click")
            price = exported(inputs, "regress_price")
        assert topic["classes"].tolist() == [[b"art", b"law", b"sport"]] * 2
        np.testing.assert_allclose(topic["scores"], expected["topic"], atol=1e-5)
        assert click["classes"].tolist() == [[b"0", b"1"]] * 2
        both = np.concatenate([1 - expected["click"], expected["click"]], axis=-1)
        np.testing.assert_allclose(click["scores"], both, atol=1e-5)
        np.testing.assert_allclose(price["outputs"], expected["price"], atol=1e-5)

    @pytest.mark.parametrize(("name", "method", "outputs"), ALIASES)
    def test_aliases_share_one_pass(self, shop, name, method, outputs):
        """The same placeholder, and tensors of the same call of one function."""
        found = signatures(shop[1])
        assert found[name].method_name == method
        assert sorted(found[name].outputs) == outputs
        assert found[name].inputs["inputs"] == found["examples"].inputs["inputs"]
        calls = {one.name.split(":")[0] for one in found["examples"].outputs.values()}
        assert len(calls) == 1
        assert {one.name.split(":")[0] for one in found[name].outputs.values()} == calls

    def test_no_stale_fingerprint(self, shop):
        assert not (shop[1] / "fingerprint.pb").exists()

    def test_loads_as_a_tensorflow_2_model(self, shop):
        loaded = tf.saved_model.load(str(shop[1]))
        answers = loaded.signatures["examples"](
            inputs=tf.constant([example(30.0, b"clerk", 20)])
        )
        assert answers["topic_scores"].shape == (1, 3)

    def test_missing_feature_is_named(self, shop):
        without = tf.train.Example.FromString(example(1.0, b"clerk", 10))
        del without.features.feature["job"]
        with (
            export.load(shop[1]) as exported,
            pytest.raises(tf.errors.InvalidArgumentError, match="job"),
        ):
            exported({"inputs": [without.SerializeToString()]}, "examples")

    def test_rows_of_any_size_have_none(self):
        ids = keras.Input((None,), dtype="int32", name="ids")
        hidden = keras.layers.GlobalMaxPooling1D()(keras.layers.Embedding(5, 2)(ids))
        offer = Offer(keras.Model(ids, {"y": hidden}))
        assert sorted(offer.forms) == ["serving_default", "task_y"]

    def test_models_without_tasks_regress_single_numbers(self, tmp_path):
        x = keras.Input((3,), name="x", dtype="float64")
        flag = keras.Input((), name="flag", dtype="bool")
        joined = keras.ops.concatenate(
            [keras.ops.cast(x, "float32"), keras.ops.cast(flag, "float32")[:, None]], -1
        )
        outputs = {
            "one": keras.layers.Dense(1)(joined),
            "two": keras.layers.Dense(2)(joined),
        }
        model = keras.Model({"x": x, "flag": flag}, outputs)
        heads = find_heads(model)
        assert (heads["one"].method, heads["two"].method) == ("regress", "")
        rows = {"x": np.ones((2, 3)), "flag": np.array([True, False])}
        assert "regress_one" in check_offer(model, rows, tmp_path / "1")


class TestFeatures:
    def test_are_the_representations(self, tmp_path):
        model = two_task_model(architecture="mmoe")
        x = raw_inputs("vector", rows=3)
        check_offer(model, x, tmp_path / "1")
        expected = model.representations(x, verbose=0)
        with export.ExportedModel(tmp_path / "1") as exported:
            found = exported(x, "features")
        assert set(found) == {"click", "buy"}
        for name, values in found.items():
            np.testing.assert_allclose(values, expected[name], atol=1e-5)
        assert not np.allclose(found["click"], found["buy"])


def picture_model(**options):
    return two_task_model(
        inputs={"photo": features.Image((16, 16, 3), **options), "age": ()},
        trunk=trunks.Multimodal({"photo": trunks.CNN((4,))}, units=(8,)),
    )


class TestPictures:
    @pytest.fixture(scope="class")
    @classmethod
    def gallery(cls, tmp_path_factory):
        model = picture_model()
        return model, export.saved_model(model, tmp_path_factory.mktemp("gallery"))

    def test_files_of_any_kind_and_size(self, gallery):
        model, folder = gallery
        rng = np.random.default_rng(0)
        small = rng.integers(0, 256, (16, 16, 3)).astype("uint8")
        large = np.repeat(np.repeat(small, 3, axis=0), 3, axis=1)
        grey = np.full((40, 30, 1), 77, "uint8")
        files = [
            tf.io.encode_png(small).numpy(),
            tf.io.encode_png(large).numpy(),
            tf.io.encode_jpeg(grey).numpy(),
        ]
        with export.load(folder) as exported:
            found = exported({"photo": files, "age": [1, 2, 3]}, "serving_bytes")
        resized = np.round(tf.image.resize(large, (16, 16), antialias=True))
        rows = np.stack([small, resized, np.full((16, 16, 3), 77)]).astype("uint8")
        expected = model.predict({"photo": rows, "age": [1, 2, 3]}, verbose=0)
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, atol=1e-5)

    def test_what_is_no_picture_is_an_error(self, gallery):
        with (
            export.load(gallery[1]) as exported,
            pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image"),
        ):
            exported({"photo": [b"text"], "age": [1]}, "serving_bytes")

    def test_floats_need_a_scale_unless_the_model_rescales(self):
        plain = picture_model(scale=1.0, dtype="float32")
        assert find_picture(plain, None) is None
        assert find_picture(plain, 1 / 255).scale == 1 / 255
        assert find_picture(picture_model(dtype="float32"), None).scale == 1.0

    def test_scale_without_a_picture(self, tmp_path):
        with pytest.raises(ExportError, match=r"`pixel_scale` needs.*Received: a, b"):
            export.saved_model(two_task_model(), tmp_path, pixel_scale=1.0)
        assert not list(tmp_path.iterdir())

    def test_scaled_floats(self, tmp_path):
        model = two_task_model(inputs=INPUTS["image"], trunk=trunks.CNN((4,)))
        picture = np.full((16, 16, 3), 51, "uint8")
        offer = Offer(model, 1 / 255)
        offer.write(tmp_path / "1")
        with export.ExportedModel(tmp_path / "1") as exported:
            file = tf.io.encode_png(picture).numpy()
            found = exported({"photo": [file]}, "serving_bytes")
        expected = model.predict({"photo": picture[None] / 255}, verbose=0)
        np.testing.assert_allclose(found["buy"], expected["buy"], atol=1e-5)


def test_writing_says_nothing(shop, capfd, tmp_path):
    Offer(two_task_model()).write(tmp_path / "1")
    assert "Assets written" not in capfd.readouterr().err
