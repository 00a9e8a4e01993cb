"""Models as one file: small, near the model, and refused rather than half-written."""

import sys

import keras
import numpy as np
import pytest
from examples import INPUTS, TASKS, raw_inputs, two_task_model

import mtlzoo
from mtlzoo import export, features, trunks
from mtlzoo.errors import ExportError, MissingExtraError, OptionError

LAYOUTS = {
    "vector": ("vector", lambda: trunks.MLP((8, 6))),
    "image": ("image", lambda: trunks.CNN((4, 6))),
    "sequence": (
        "sequence",
        lambda: trunks.Transformer(1, width=8, num_heads=2, feedforward=8, dropout=0.0),
    ),
}


def laid_out(name):
    inputs, trunk = LAYOUTS[name]
    return two_task_model(inputs=INPUTS[inputs], trunk=trunk()), inputs


def every_pooled_task():
    kinds = ["binary", "multiclass", "multilabel", "regression", "ordinal", "count"]
    return mtlzoo.build(
        "mmoe",
        inputs={"age": features.Numeric(mean=40.0, variance=100.0), "a": (3,)},
        tasks=[TASKS[kind](kind) for kind in kinds],
        trunk=trunks.Tabular((8,)),
    )


def words():
    return two_task_model(
        inputs={"job": features.Categorical(["clerk", "nurse"]), "age": ()},
        trunk=trunks.Tabular((8,)),
    )


def words_beside_bins():
    """Rows that are joined of what a table found and of what was computed."""
    return two_task_model(
        inputs={
            "job": features.Categorical(["clerk", "nurse"]),
            "age": features.Numeric(mean=40.0, variance=100.0, edges=[0.0, 30.0, 90.0]),
        },
        trunk=trunks.Tabular((8,)),
    )


def codes():
    return two_task_model(
        inputs={"code": features.Categorical([10, 20])}, trunk=trunks.Tabular((8,))
    )


class TestLiteRT:
    @pytest.mark.parametrize("name", LAYOUTS)
    def test_answers_as_the_model_does(self, name, tmp_path):
        model, inputs = laid_out(name)
        rows = raw_inputs(inputs, rows=3)
        made = export.litert(model, tmp_path / "m.tflite", golden=rows)
        assert made.path == tmp_path / "m.tflite"
        assert made.size == made.path.stat().st_size
        assert set(made.differences) == {"click", "buy"}
        assert max(made.differences.values()) <= 1e-5
        assert [path.name for path in tmp_path.iterdir()] == ["m.tflite"]

    @pytest.mark.parametrize("make", [every_pooled_task, words, words_beside_bins])
    def test_tasks_and_words(self, make, tmp_path):
        made = export.litert(make(), tmp_path / "m.tflite")
        assert max(made.differences.values()) <= 1e-5

    def test_quantized(self, tmp_path):
        model = two_task_model(trunk=trunks.MLP((256, 256)))
        rows = raw_inputs("vector", rows=64)
        size, difference = {}, {}
        for kind in (None, "float16", "int8"):
            path = tmp_path / f"{kind}.tflite"
            made = export.litert(model, path, quantize=kind, golden=rows)
            size[kind] = made.size / made.weights
            difference[kind] = max(made.differences.values())
        assert size[None] < 1.05
        assert size["float16"] < 0.55
        assert size["int8"] < 0.3
        assert difference[None] < difference["float16"] < difference["int8"] < 0.05

    def test_too_different(self, tmp_path):
        model = two_task_model(trunk=trunks.MLP((256, 256)))
        with pytest.raises(ExportError, match=r"answers otherwise .* tolerance=1e-09"):
            export.litert(model, tmp_path / "m.tflite", quantize="int8", tolerance=1e-9)
        assert not list(tmp_path.iterdir())

    def test_numbers_that_float16_can_not_hold(self, tmp_path):
        price = features.Numeric(mean=1e5, variance=1e10, edges=[0.0, 1e5, 2e5])
        model = two_task_model(inputs={"price": price}, trunk=trunks.Tabular((8,)))
        with pytest.raises(ExportError, match=r"numbers beyond 65504.*price.*'int8'"):
            export.litert(model, tmp_path / "m.tflite", quantize="float16")
        assert not list(tmp_path.iterdir())

    def test_without_a_form(self, tmp_path):
        match = r"no LiteRT form.*'tf\.HashTableV2' op.*Vocabularies of integers.*texts"
        with pytest.raises(ExportError, match=match):
            export.litert(codes(), tmp_path / "m.tflite")
        assert not list(tmp_path.iterdir())

    def test_arguments(self, tmp_path):
        model = two_task_model()
        with pytest.raises(OptionError, match=r"must be None, 'float16' or 'int8'"):
            export.litert(model, tmp_path / "m.tflite", quantize="int4")
        with pytest.raises(ExportError, match=r"must end in \.tflite"):
            export.litert(model, tmp_path / "m.lite")
        (tmp_path / "m.tflite").touch()
        with pytest.raises(ExportError, match="exists already"):
            export.litert(model, tmp_path / "m.tflite")
        x = keras.Input((2,), name="x")
        best = keras.Model(x, {"best": keras.ops.argmax(x, axis=-1)})
        with pytest.raises(ExportError, match=r"Only outputs of floats.*'best'"):
            export.litert(best, tmp_path / "b.tflite")


class TestONNX:
    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("tf2onnx", reason="needs the extra onnx")
        pytest.importorskip("onnxruntime", reason="needs the extra onnx")

    @pytest.mark.parametrize("name", LAYOUTS)
    def test_answers_as_the_model_does(self, name, tmp_path):
        model, inputs = laid_out(name)
        rows = raw_inputs(inputs, rows=3)
        made = export.onnx(model, tmp_path / "m.onnx", golden=rows)
        assert max(made.differences.values()) <= 1e-5
        import onnxruntime

        session = onnxruntime.InferenceSession(made.path)
        assert {one.name for one in session.get_inputs()} == set(rows)
        assert {one.name for one in session.get_outputs()} == {"click", "buy"}
        one = {key: array[:1] for key, array in rows.items()}
        expected = model.predict(one, verbose=0)["buy"]
        np.testing.assert_allclose(session.run(["buy"], one)[0], expected, atol=1e-5)

    def test_every_pooled_task(self, tmp_path):
        made = export.onnx(every_pooled_task(), tmp_path / "m.onnx")
        assert max(made.differences.values()) <= 1e-5

    @pytest.mark.parametrize("make", [words, codes])
    def test_without_a_form(self, make, tmp_path):
        with pytest.raises(ExportError, match=r"no ONNX form.*LookupTableFindV2"):
            export.onnx(make(), tmp_path / "m.onnx")
        assert not list(tmp_path.iterdir())


def test_onnx_without_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(MissingExtraError, match=r'pip install "mtlzoo\[onnx\]"'):
        export.onnx(two_task_model(), tmp_path / "m.onnx")
