"""What is exported is what the model says, in the form that the server takes."""

import keras
import numpy as np
import pytest
from examples import INPUTS, TASKS, TRUNKS, raw_inputs, two_task_data, two_task_model
from offers import check_offer
from tensorflow.core.protobuf import saved_model_pb2

import mtlzoo
from mtlzoo import export, trunks
from mtlzoo.errors import DataError, ExportError, UnknownNameError
from mtlzoo.export._golden import make_golden
from mtlzoo.export._signatures import trace

POOLED = ["binary", "multiclass", "multilabel", "regression", "ordinal", "count"]
EXTRA = {
    "rnn": ["sequence_tagging"],
    "cnn": ["dense"],
    "multimodal": ["sequence_tagging", "dense"],
    "mlp": POOLED,
}
METHODS = {
    **dict.fromkeys(["binary", "multiclass", "multilabel", "ordinal"], "classify"),
    **dict.fromkeys(["regression", "count"], "regress"),
}


def example_model(trunk):
    """Return a model with that trunk, and tasks of the kinds that suit it."""
    inputs, make_trunk = TRUNKS[trunk]
    kinds = {"binary", "regression", *EXTRA.get(trunk, ())}
    return mtlzoo.build(
        "shared_bottom",
        inputs=INPUTS[inputs],
        tasks=[TASKS[kind](f"my_{kind}") for kind in sorted(kinds)],
        trunk=make_trunk(),
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    base = tmp_path_factory.mktemp("served")
    export.saved_model(two_task_model(), base)
    return base


@pytest.mark.parametrize("trunk", TRUNKS)
def test_every_trunk_and_task(trunk, tmp_path):
    model = example_model(trunk)
    x = {
        name: np.array([text.encode() for text in rows], object)
        if rows.dtype.kind == "U"
        else rows
        for name, rows in raw_inputs(TRUNKS[trunk][0], rows=5).items()
    }
    found = check_offer(model, x, tmp_path / "1")
    for task in model.tasks:
        assert f"task_{task.name}" in found
        method = METHODS.get(type(task).__name__.lower())
        assert method is None or f"{method}_{task.name}" in found


def test_tried_in_another_process_on_raw_rows(tmp_path):
    """The whole way, with strings, integers, numbers and dates."""
    model = example_model("tabular")
    x = raw_inputs("table", rows=5)
    folder = export.saved_model(model, tmp_path / "served", golden=x)
    assert folder == tmp_path / "served" / "1"
    expected = model.predict(x, verbose=0)
    with export.load(tmp_path / "served") as exported:
        for rows in (1, 5):
            answers = exported({name: column[:rows] for name, column in x.items()})
            assert set(answers) == set(expected)
            for task, answer in answers.items():
                np.testing.assert_allclose(answer, expected[task][:rows], atol=1e-5)


def test_loaded_model_stores_weights_once_without_the_optimizer(tmp_path):
    model = two_task_model(trunk=trunks.MLP((512, 512)))
    model.fit(*two_task_data(), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    folder = export.saved_model(again, tmp_path / "served")
    stored = sum(path.stat().st_size for path in (folder / "variables").iterdir())
    assert stored <= 1.05 * 4 * model.count_params()


def test_signature_of_a_task_leaves_other_towers_out():
    signatures = trace(two_task_model())
    names = [one.name for one in signatures["task_buy"].graph.get_operations()]
    assert any("heads.buy" in name for name in names)
    assert not any("heads.click" in name for name in names)


def test_server_methods_and_names(served):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((served / "1" / "saved_model.pb").read_bytes())
    (meta_graph,) = saved.meta_graphs
    assert list(meta_graph.meta_info_def.tags) == ["serve"]
    signature = meta_graph.signature_def["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    assert sorted(signature.inputs) == ["a", "b"]
    assert sorted(signature.outputs) == ["buy", "click"]
    assert signature.inputs["a"].tensor_shape.dim[0].size == -1


def test_half_precision_model_answers_float32_and_needs_no_warmup(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    model = two_task_model()
    folder = export.saved_model(model, tmp_path, tolerance=1e-2, warmup=False)
    assert not (folder / "assets.extra").exists()
    with export.load(tmp_path) as exported:
        assert {spec.dtype.name for spec in exported.outputs.values()} == {"float32"}


def test_any_functional_model_with_named_outputs(tmp_path):
    """List inputs, operations of `keras.ops`, shared layers, outputs that are text."""
    first, second = keras.Input((3,), name="first"), keras.Input((3,), name="second")
    dense = keras.layers.Dense(4)
    joined = keras.ops.concatenate([dense(first), dense(second)], axis=-1)
    best = keras.ops.argmax(joined, axis=-1)
    words = keras.layers.IntegerLookup(
        vocabulary=list(range(8)), num_oov_indices=0, invert=True
    )
    outputs = {"score": joined, "best": best, "word": words(best)}
    export.saved_model(keras.Model([first, second], outputs), tmp_path)
    with export.load(tmp_path) as exported:
        answers = exported({"first": np.ones((2, 3)), "second": np.zeros((2, 3))})
    np.testing.assert_array_equal(answers["best"], answers["score"].argmax(-1))
    np.testing.assert_array_equal(answers["word"], answers["best"])


def test_tracing_leaves_recurrent_layers_as_they_were():
    model = example_model("rnn")
    (layer,) = [
        one
        for one in model._flatten_layers()
        if isinstance(one, keras.layers.Bidirectional)
    ]
    trace(model)
    assert layer.forward_layer.use_cudnn == "auto"


class TestGolden:
    def test_reaches_vocabularies(self):
        golden = make_golden(example_model("tabular"))
        assert set(golden["job"]) & {"clerk", "nurse"}
        assert set(golden["code"]) & {10, 20}
        assert set(golden["review"]) & {"good", "bad", "film"}

    def test_fits_embeddings_and_pixels(self):
        ids = keras.Input((None,), dtype="int32", name="ids")
        photo = keras.Input((4, 4, 1), dtype="uint8", name="photo")
        flag = keras.Input((), dtype="bool", name="flag")
        model = keras.Model(
            {"ids": ids, "photo": photo, "flag": flag},
            {
                "a": keras.layers.Embedding(7, 2)(ids),
                "b": keras.ops.cast(photo, "float32"),
                "c": keras.ops.cast(flag, "float32"),
            },
        )
        golden = make_golden(model)
        assert golden["ids"].shape == (8, 32)
        assert 2 <= golden["ids"].max() < 7
        assert golden["photo"].dtype == "uint8"
        assert golden["photo"].max() > 100
        assert golden["flag"].dtype == bool


class TestLoad:
    def test_takes_a_version_or_the_newest(self, served):
        for path in (served, served / "1", str(served)):
            with export.load(path) as exported:
                assert exported.folder == served / "1"
                assert repr(exported) == f"ExportedModel({str(served / '1')!r})"

    def test_refuses_other_inputs(self, served):
        with (
            export.load(served) as exported,
            pytest.raises(DataError, match=r"takes the inputs a, b\. Received: a\."),
        ):
            exported({"a": [[1.0] * 4]})

    def test_refuses_unknown_signatures(self, served):
        with (
            export.load(served) as exported,
            pytest.raises(UnknownNameError, match="Did you mean 'task_click'"),
        ):
            exported({}, "task_clik")

    def test_refuses_a_folder_without_an_export(self, tmp_path):
        with pytest.raises(ExportError, match="No exported model is in"):
            export.load(tmp_path)


def test_takes_columns_as_the_model_does(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "day": pandas.to_datetime(["2020-01-02", None, "2023-04-05"]),
            "job": ["clerk", None, "nurse"],
            "ill": pandas.array([True, None, False], dtype="boolean"),
            "age": pandas.array([30, None, 50], dtype="Int64"),
        }
    )
    model = mtlzoo.build(
        "shared_bottom",
        inputs=mtlzoo.features.infer(frame),
        tasks=[mtlzoo.tasks.Binary("late")],
        trunk=trunks.Tabular((4,)),
    )
    export.saved_model(model, tmp_path, golden=frame)
    expected = model.predict(frame, verbose=0)["late"]
    with export.load(tmp_path) as exported:
        found = exported({name: frame[name] for name in frame})["late"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
