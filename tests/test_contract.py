"""What every registered architecture, trunk and kind of task must do.

Adding a method adds its tests: the lists come from the registries.
"""

import fresh
import keras
import numpy as np
import pytest
from examples import (
    INPUTS,
    TASKS,
    TRUNKS,
    labels,
    raw_inputs,
    two_task_data,
    two_task_model,
)

import mtlzoo
from mtlzoo import heads, tasks, trunks
from mtlzoo._registry import (
    ARCHITECTURES,
    TASKS as TASK_REGISTRY,
    TRUNKS as TRUNK_REGISTRY,
)

EXAMPLE_TRUNKS = {
    "image": lambda: trunks.CNN((4, 6)),
    "sequence": lambda: trunks.Transformer(2, width=8, num_heads=2, feedforward=8),
}

SMALL_TRUNKS = [name for name in TRUNKS if name != "efficientnet_lite0"]
"""Those with sizes to choose; the others do all this once, in `tests/trunks`."""


def architecture_model(name, **options):
    """Return a small model of two tasks, on the inputs that the architecture takes."""
    example = ARCHITECTURES.entry(name).facts.get("example", "vector")
    trunk = EXAMPLE_TRUNKS.get(example, lambda: trunks.MLP((8, 6)))()
    return two_task_model(
        architecture=name,
        inputs=INPUTS[example],
        trunk=trunk,
        head=heads.Tower((4,)),
        **options,
    )


def architecture_data(name, rows=16):
    example = ARCHITECTURES.entry(name).facts.get("example", "vector")
    _, y = two_task_data(rows)
    return raw_inputs(example, rows), y


def assert_same_predictions(first, second, x, tolerance=1e-6):
    # Called, not `predict`: for a few rows tracing would take most of the time.
    expected, found = (one(model_inputs(x), training=False) for one in (first, second))
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=tolerance)


def test_examples_cover_the_registries():
    assert sorted(TRUNKS) == TRUNK_REGISTRY.list()
    assert sorted(TASKS) == TASK_REGISTRY.list()


@pytest.mark.parametrize("name", ARCHITECTURES.list())
class TestEveryArchitecture:
    def test_options_round_trip(self, name):
        cls = ARCHITECTURES.get(name)
        config = keras.saving.serialize_keras_object(cls())
        assert keras.saving.deserialize_keras_object(config) == cls()

    def test_trains_and_reloads(self, name, tmp_path):
        """Loss falls on a fixed batch; the saved model continues as the original."""
        model = architecture_model(name, optimizer=keras.optimizers.Adam(0.01))
        x, y = architecture_data(name)
        assert {"click", "buy"} <= set(model.output)
        history = model.fit(x, y, batch_size=16, epochs=12, verbose=0).history
        assert np.isfinite(history["loss"]).all()
        assert min(history["loss"][-3:]) < history["loss"][0]

        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert isinstance(again, mtlzoo.MultiTaskModel)
        assert again.tasks == model.tasks
        assert_same_predictions(model, again, x)

    def test_shapes_dtypes_and_representations(self, name):
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = architecture_model(name)
        x, y = architecture_data(name)
        predictions = model(model_inputs(x), training=False)
        for prediction in predictions.values():
            assert keras.backend.standardize_dtype(prediction.dtype) == "float32"
            assert prediction.shape == (16, 1)
        model.fit(x, y, verbose=0)
        assert set(model.representations(x, verbose=0)) >= {"click", "buy"}


def model_inputs(x):
    return {key: keras.ops.convert_to_tensor(value) for key, value in x.items()}


def trunk_tasks(name):
    """Return the kinds of task that the example trunk has features for."""
    made = [TASKS["binary"]("answer"), TASKS["regression"]("size")]
    if name in ("rnn", "transformer", "multimodal"):
        made.append(TASKS["sequence_tagging"]("tags"))
    if name in ("cnn", "pretrained", "resnet", "multimodal"):
        made.append(TASKS["dense"]("pixels"))
    return made


@pytest.mark.parametrize("name", SMALL_TRUNKS)
class TestEveryTrunk:
    def make(self, name, **options):
        kind, trunk = TRUNKS[name]
        model = mtlzoo.build(
            options.pop("architecture", "shared_bottom"),
            inputs=INPUTS[kind],
            tasks=trunk_tasks(name),
            trunk=trunk(),
            head=heads.Tower(()),
            **options,
        )
        x = raw_inputs(kind)
        steps = 5 if kind in ("text", "mixed") else 12
        y = {task.name: labels(task, steps=steps) for task in model.tasks}
        return model, x, y

    def test_trains_and_reloads_in_a_fresh_process(self, name, tmp_path):
        model, x, y = self.make(name, optimizer=keras.optimizers.Adam(0.01))
        history = model.fit(x, y, epochs=10, verbose=0).history
        assert history["loss"][-1] < history["loss"][0]
        predictions = model.predict(x, verbose=0)
        for name, prediction in predictions.items():
            want = next(task for task in model.tasks if task.name == name)
            for size, expected in zip(
                prediction.shape[1:], want.prediction_shape, strict=True
            ):
                assert expected in (None, size)
        fresh.save(tmp_path / "model", model, x, predictions)
        assert fresh.reloaded(tmp_path) == ["model"]

    def test_options_round_trip(self, name):
        trunk = TRUNKS[name][1]()
        config = keras.saving.serialize_keras_object(trunk)
        assert keras.saving.deserialize_keras_object(config) == trunk

    def test_columns_are_independent(self, name):
        """A step on one task of `single_task` leaves the other columns alone."""
        model, x, y = self.make(name, architecture="single_task")
        before = [variable.numpy() for variable in model.trainable_variables]
        model.fit(x, {"answer": y["answer"]}, verbose=0)
        for old, new in zip(before, model.trainable_variables, strict=True):
            moved = not np.array_equal(old, new.numpy())
            assert moved <= (".answer." in new.path), new.path
            assert moved or not new.path.startswith("heads.answer.")

    def test_trains_in_half_precision(self, name):
        keras.config.set_dtype_policy("mixed_float16")
        model, x, y = self.make(name)
        history = model.fit(x, y, verbose=0).history
        assert np.isfinite(history["loss"]).all()
        for prediction in model.predict(x, verbose=0).values():
            assert prediction.dtype == np.float32


@pytest.mark.parametrize("kind", TASKS)
def test_every_kind_of_task_trains_and_reloads(kind, tmp_path):
    trunk = {"sequence_tagging": "transformer", "dense": "cnn"}.get(kind, "mlp")
    inputs, make_trunk = TRUNKS[trunk]
    task = TASKS[kind]("answer")
    model = mtlzoo.build(
        "shared_bottom",
        inputs=INPUTS[inputs],
        tasks=[task, tasks.Binary("other")],
        trunk=make_trunk(),
        optimizer=keras.optimizers.Adam(0.01),
    )
    x = raw_inputs(inputs)
    y = {"answer": labels(task), "other": labels(tasks.Binary("other"))}
    history = model.fit(x, y, epochs=10, verbose=0).history
    assert history["answer_loss"][-1] < history["answer_loss"][0]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_same_predictions(model, again, x)
    # The loaded model is compiled: it continues to train.
    resumed = again.fit(x, y, verbose=0).history
    continued = model.fit(x, y, verbose=0).history
    assert resumed["loss"][0] == pytest.approx(continued["loss"][0], rel=1e-4)
