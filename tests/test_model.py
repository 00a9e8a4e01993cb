import fresh
import keras
import numpy as np
import pytest
from examples import two_task_data, two_task_model

import mtlzoo
from mtlzoo import MultiTaskModel, balancing, tasks, trunks
from mtlzoo.errors import ExportError, TaskError


def plain_keras(seed=0):
    """Return the same network by hand: one layer, two sigmoid outputs."""
    keras.utils.set_random_seed(seed)
    inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((3,), name="b")}
    hidden = keras.layers.Dense(8, activation="relu")(
        keras.layers.Concatenate()(list(inputs.values()))
    )
    outputs = {
        name: keras.layers.Dense(1, activation="sigmoid", name=name)(hidden)
        for name in ("click", "buy")
    }
    return keras.Model(inputs, outputs)


def wrapped(**options):
    return MultiTaskModel.from_functional(
        plain_keras(), [tasks.Binary("click"), tasks.Binary("buy")], **options
    )


class TestAgainstPlainKeras:
    def test_fully_labelled_training_is_the_same(self):
        x, y = two_task_data(64)
        by_hand = plain_keras()
        by_hand.compile(
            keras.optimizers.Adam(0.01),
            loss=dict.fromkeys(y, "binary_crossentropy"),
            loss_weights={"click": 1.0, "buy": 0.5},
        )
        ours = wrapped(optimizer=keras.optimizers.Adam(0.01), loss_weights={"buy": 0.5})
        options = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0}
        expected = by_hand.fit(x, y, **options).history
        found = ours.fit(x, y, **options).history
        for key in ("loss", "click_loss", "buy_loss"):
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-5)
        for old, new in zip(by_hand.weights, ours.weights, strict=False):
            np.testing.assert_allclose(old, new, atol=1e-6)

    def test_history_names(self):
        x, y = two_task_data()
        history = two_task_model().fit(x, y, validation_split=0.25, verbose=0).history
        names = [
            "loss",
            *(
                f"{task}_{metric}"
                for task in ("click", "buy")
                for metric in ("loss", "auc", "accuracy")
            ),
        ]
        assert set(history) == {*names, *(f"val_{name}" for name in names)}

    def test_evaluate_list_and_dict(self):
        x, y = two_task_data()
        model = two_task_model()
        result = model.evaluate(x, y, verbose=0, return_dict=True)
        assert result["loss"] == pytest.approx(
            result["click_loss"] + result["buy_loss"], rel=1e-5
        )
        assert sorted(model.evaluate(x, y, verbose=0)) == pytest.approx(
            sorted(result.values())
        )


class TestMissingLabels:
    def test_absent_key_trains_the_others_only(self):
        x, y = two_task_data()
        model = two_task_model()
        heads = [v for v in model.trainable_variables if "heads.buy" in v.path]
        before = [v.numpy() for v in heads]
        result = model.fit(x, {"click": y["click"]}, epochs=2, verbose=0).history
        assert result["buy_loss"] == [0.0, 0.0]
        assert result["loss"] == pytest.approx(result["click_loss"])
        for old, new in zip(before, heads, strict=True):
            np.testing.assert_array_equal(old, new)

    def test_nan_labels_are_as_absent_rows(self):
        x, y = two_task_data(8)
        partly = {**y, "buy": np.where(np.arange(8) < 2, y["buy"], np.nan)}
        model = two_task_model()
        found = model.evaluate(x, partly, verbose=0, return_dict=True)
        first = {name: array[:2] for name, array in x.items()}
        alone = model.evaluate(
            first, {"buy": y["buy"][:2]}, verbose=0, return_dict=True
        )
        for key in ("buy_loss", "buy_accuracy", "buy_auc"):
            assert found[key] == pytest.approx(alone[key], rel=1e-5)

    def test_epoch_loss_weighs_batches_by_their_labels(self):
        x, y = two_task_data(8)
        y["buy"] = np.where(np.arange(8) < 5, y["buy"], np.nan)
        model = two_task_model()
        whole = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)
        halves = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
        assert halves["buy_loss"] == pytest.approx(whole["buy_loss"], rel=1e-5)

    def test_all_labels_missing_changes_nothing(self):
        x, y = two_task_data()
        model = two_task_model(optimizer=keras.optimizers.SGD(1.0))
        before = [v.numpy() for v in model.trainable_variables]
        nothing = {name: np.full(16, np.nan) for name in y}
        assert model.fit(x, nothing, verbose=0).history["loss"] == [0.0]
        for old, new in zip(before, model.trainable_variables, strict=True):
            np.testing.assert_array_equal(old, new)

    def test_keys_may_differ_from_batch_to_batch(self):
        x, y = two_task_data()
        model = two_task_model()
        for name in ("click", "buy", "click"):
            result = model.train_on_batch(x, {name: y[name]}, return_dict=True)
            assert result[f"{name}_loss"] > 0


class TestSampleWeights:
    def test_partial_weights(self):
        x, y = two_task_data(4)
        model = two_task_model()
        weights = {"buy": np.array([0.0, 1.0, 0.0, 0.0])}
        found = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
        plain = model.evaluate(x, y, verbose=0, return_dict=True)
        one = {name: array[1:2] for name, array in x.items()}
        alone = model.evaluate(one, {"buy": y["buy"][1:2]}, verbose=0, return_dict=True)
        assert found["click_loss"] == pytest.approx(plain["click_loss"], rel=1e-5)
        assert found["buy_loss"] == pytest.approx(alone["buy_loss"], rel=1e-5)

    def test_one_array_is_for_all_tasks(self):
        x, y = two_task_data(4)
        model = two_task_model()
        weights = np.array([0.0, 1.0, 1.0, 0.0])
        found = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
        middle = {name: array[1:3] for name, array in x.items()}
        alone = model.evaluate(
            middle, {n: v[1:3] for n, v in y.items()}, verbose=0, return_dict=True
        )
        assert found["loss"] == pytest.approx(alone["loss"], rel=1e-5)

    def test_in_a_dataset(self):
        import tensorflow as tf

        x, y = two_task_data(4)
        weights = {"buy": np.array([0.0, 1.0, 0.0, 0.0], "float32")}
        dataset = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(4)
        model = two_task_model()
        found = model.evaluate(dataset, verbose=0, return_dict=True)
        arrays = model.evaluate(
            x, y, sample_weight=weights, verbose=0, return_dict=True
        )
        assert found == pytest.approx(arrays, rel=1e-5)

    def test_weighted_metrics(self):
        x, y = two_task_data(4)
        model = two_task_model()
        model.compile(
            metrics={"buy": ["mae"]},
            weighted_metrics={"buy": [keras.metrics.MeanAbsoluteError(name="wmae")]},
        )
        weights = {"buy": np.array([0.0, 1.0, 0.0, 0.0])}
        found = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
        error = np.abs(model.predict(x, verbose=0)["buy"][:, 0] - y["buy"])
        assert found["buy_wmae"] == pytest.approx(error[1], rel=1e-4)
        assert found["buy_mean_absolute_error"] == pytest.approx(error.mean(), rel=1e-4)


class TestDataAsPeopleHaveIt:
    def model(self):
        return mtlzoo.build(
            "shared_bottom",
            inputs={
                "age": mtlzoo.Numeric(),
                "job": mtlzoo.Categorical(["clerk", "nurse"]),
                "day": mtlzoo.Date(),
            },
            tasks=[tasks.Binary("click"), tasks.Binary("buy")],
            trunk=trunks.Tabular((4,)),
        )

    def columns(self):
        return {
            "age": [20, 30, 40, 50],
            "job": np.array(["clerk", "nurse", "clerk", "smith"]),
            "day": np.array(["2020-01-01"] * 4, "datetime64[D]"),
            "unused": [0, 0, 0, 0],
        }

    def test_lists_strings_and_dates(self):
        y = {"click": [0, 1, 0, 1], "buy": [True, False, True, False]}
        model = self.model()
        model.fit(self.columns(), y, batch_size=2, validation_split=0.5, verbose=0)
        assert model.predict(self.columns(), verbose=0)["buy"].shape == (4, 1)

    def test_data_frames(self):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(self.columns())
        y = pandas.DataFrame({"click": [0, 1, 0, 1], "buy": [1.0, None, 0.0, 1.0]})
        model = self.model()
        model.fit(frame, y, validation_data=(frame, y), verbose=0)
        expected = model.predict(self.columns(), verbose=0)["buy"]
        np.testing.assert_allclose(model.predict(frame, verbose=0)["buy"], expected)

    def test_text_read_from_a_data_frame_matches_a_dataset(self):
        import tensorflow as tf

        columns = self.columns()
        columns["day"] = columns["day"].astype("datetime64[s]").astype("int64")
        dataset = tf.data.Dataset.from_tensor_slices(columns).batch(2)
        model = self.model()
        np.testing.assert_allclose(
            model.predict(dataset, verbose=0)["buy"],
            model.predict(self.columns(), verbose=0)["buy"],
            atol=1e-6,
        )

    def test_one_task_takes_a_bare_array(self):
        model = mtlzoo.build(
            "shared_bottom", inputs={"a": (2,)}, tasks=[tasks.Regression("z")]
        )
        x = np.ones((4, 2), "float32")
        model.fit(x, np.ones(4), verbose=0)
        assert model.predict(x, verbose=0)["z"].shape == (4, 1)


class TestKerasFeatures:
    def test_callbacks_and_steps_per_execution(self, tmp_path):
        x, y = two_task_data(64)
        model = two_task_model()
        model.compile(steps_per_execution=2)
        stop = keras.callbacks.EarlyStopping(
            "val_buy_loss", mode="min", patience=1, min_delta=9.0
        )
        checkpoint = keras.callbacks.ModelCheckpoint(
            tmp_path / "best.keras", monitor="val_loss"
        )
        history = model.fit(
            x,
            y,
            batch_size=8,
            epochs=5,
            validation_split=0.5,
            callbacks=[stop, checkpoint],
            verbose=0,
        )
        assert len(history.epoch) == 2
        assert isinstance(
            keras.saving.load_model(tmp_path / "best.keras"), MultiTaskModel
        )

    def test_eager_and_graph_agree(self):
        x, y = two_task_data()
        results = []
        for eagerly in (True, False):
            model = wrapped(run_eagerly=eagerly)
            results.append(model.fit(x, y, verbose=0, shuffle=False).history)
        assert results[0].keys() == results[1].keys()
        for key, value in results[0].items():
            assert value == pytest.approx(results[1][key], rel=1e-5)

    def test_xla_is_off_by_default_and_can_be_had(self):
        model = two_task_model()
        assert model.jit_compile is False
        model.compile(jit_compile=True)
        x, y = two_task_data()
        assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])

    def test_weights_file_and_batch_methods(self, tmp_path):
        x, y = two_task_data()
        model, other = two_task_model(), two_task_model()
        model.save_weights(tmp_path / "m.weights.h5")
        other.load_weights(tmp_path / "m.weights.h5")
        assert np.isfinite(other.test_on_batch(x, y, return_dict=True)["loss"])
        np.testing.assert_allclose(
            model.predict_on_batch(x)["buy"], other.predict_on_batch(x)["buy"]
        )

    def test_regularisation_is_added_once(self):
        inputs = keras.Input((2,), name="x")
        output = keras.layers.Dense(
            1, kernel_regularizer=keras.regularizers.L2(1.0), kernel_initializer="ones"
        )(inputs)
        model = MultiTaskModel.from_functional(
            keras.Model({"x": inputs}, {"z": output}), [tasks.Regression("z")]
        )
        zeros = {"x": np.zeros((4, 2), "float32")}
        found = model.evaluate(zeros, {"z": np.zeros(4)}, verbose=0, return_dict=True)
        assert found["z_loss"] == pytest.approx(0.0)
        assert found["loss"] == pytest.approx(2.0)

    def test_compile_overrides_survive_saving(self, tmp_path):
        model = two_task_model()
        model.compile(
            keras.optimizers.SGD(0.3),
            loss={"buy": keras.losses.BinaryFocalCrossentropy(gamma=3.0)},
            loss_weights={"click": 2.0},
            metrics={"click": ["mae"]},
            steps_per_execution=3,
        )
        x, y = two_task_data()
        model.fit(x, y, verbose=0)
        model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras")
        assert float(again.optimizer.learning_rate) == pytest.approx(0.3)
        assert again.steps_per_execution == 3
        expected = model.evaluate(x, y, verbose=0, return_dict=True)
        assert again.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(
            expected, rel=1e-5
        )

    def test_untrained_model_loads_compiled(self, tmp_path):
        """Without Keras's warning of an optimizer whose variables were skipped."""
        two_task_model().save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras")
        x, y = two_task_data()
        assert np.isfinite(again.fit(x, y, verbose=0).history["loss"][0])

    @pytest.mark.parametrize("name", ["m.h5", "m.hdf5"])
    def test_refuses_what_could_not_be_read_again(self, tmp_path, name):
        with pytest.raises(ExportError, match="can't be read again from an HDF5 file"):
            two_task_model().save(tmp_path / name)
        assert not list(tmp_path.iterdir())

    def test_uncompiled_load(self, tmp_path):
        model = two_task_model()
        model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras", compile=False)
        x, _ = two_task_data()
        assert not again.compiled
        np.testing.assert_allclose(
            again.predict(x, verbose=0)["buy"], model.predict(x, verbose=0)["buy"]
        )


class TestFromFunctional:
    def test_list_outputs_are_named_in_order(self):
        model = plain_keras()
        listed = keras.Model(model.input, list(model.output.values()))
        made = MultiTaskModel.from_functional(
            listed, [tasks.Binary("click"), tasks.Binary("buy")]
        )
        assert list(made.output) == ["click", "buy"]

    def test_inputs_in_a_list_are_in_the_order_of_the_model(self, tmp_path):
        inputs = [keras.Input((2,), name=name) for name in ("user", "item")]
        hidden = keras.layers.Concatenate()(inputs)
        outputs = {
            name: keras.layers.Dense(1, name=name)(hidden) for name in ("click", "buy")
        }
        model = keras.Model(inputs, outputs)
        made = MultiTaskModel.from_functional(
            model, [tasks.Binary("click"), tasks.Binary("buy")]
        )
        random = np.random.default_rng(0)
        user, item = random.normal(size=(2, 4, 2)).astype("float32")
        expected = model.predict([user, item], verbose=0)["buy"]
        made.save(tmp_path / "m.keras")
        for one in (made, keras.saving.load_model(tmp_path / "m.keras")):
            for x in ([user, item], {"item": item, "user": user}):
                found = one.predict(x, verbose=0)["buy"]
                np.testing.assert_allclose(found, expected, atol=1e-6)

    @pytest.mark.parametrize("balancing", [None, "famo", "mgda"])
    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
    def test_predictions_in_any_precision(self, policy, balancing):
        """Losses and metrics are those of the same predictions in float32."""
        keras.config.set_dtype_policy(policy)
        inputs = keras.Input((3,), name="x")
        hidden = keras.layers.Dense(4)(inputs)
        outputs = {
            "click": keras.layers.Dense(1, activation="sigmoid", name="click")(hidden),
            "price": keras.layers.Dense(1, name="price")(hidden),
        }
        model = MultiTaskModel.from_functional(
            keras.Model(inputs, outputs),
            [tasks.Binary("click"), tasks.Regression("price")],
            balancing=balancing,
            optimizer="sgd",
        )
        x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
        y = {"click": np.array([0, 1] * 4), "price": 3.0 * x[:, 0]}
        y["price"][:2] = np.nan
        predictions = model.predict(x, verbose=0)
        assert predictions["price"].dtype != "float32"
        errors = predictions["price"][:, 0].astype("float32") - y["price"]
        found = model.fit(x, y, verbose=0).history
        np.testing.assert_allclose(
            found["price_loss"][0], np.nanmean(errors**2), rtol=1e-2
        )
        assert all(np.isfinite(one.numpy()).all() for one in model.trainable_variables)
        assert np.isfinite(
            list(model.evaluate(x, y, verbose=0, return_dict=True).values())
        ).all()

    def test_shares_weights(self):
        model = plain_keras()
        made = MultiTaskModel.from_functional(
            model, [tasks.Binary("click"), tasks.Binary("buy")]
        )
        assert made.weights[0] is model.weights[0]
        assert isinstance(made.balancing, balancing.Equal)

    def test_nested_model(self, tmp_path):
        model = plain_keras()
        inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((3,), name="b")}
        made = MultiTaskModel.from_functional(
            keras.Model(inputs, model(inputs)),
            [tasks.Binary("click"), tasks.Binary("buy")],
        )
        x, y = two_task_data()
        made.fit(x, y, verbose=0)
        made.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras")
        np.testing.assert_allclose(
            again.predict(x, verbose=0)["buy"],
            made.predict(x, verbose=0)["buy"],
            atol=1e-6,
        )

    def test_a_sequential_model_is_one_task(self):
        layers = [keras.Input((4,), name="a"), keras.layers.Dense(1, "sigmoid")]
        made = MultiTaskModel.from_functional(
            keras.Sequential(layers), [tasks.Binary("click")]
        )
        x, y = two_task_data()
        made.fit({"a": x["a"]}, {"click": y["click"]}, verbose=0)
        with pytest.raises(TaskError, match="one output a task"):
            MultiTaskModel.from_functional(
                keras.Sequential(layers[1:]), [tasks.Binary("click")]
            )

    @pytest.mark.parametrize(
        "names", [["click"], ["click", "sale"], ["click", "buy", "more"]]
    )
    def test_refuses_other_outputs(self, names):
        with pytest.raises(TaskError, match="one output a task"):
            MultiTaskModel.from_functional(
                plain_keras(), [tasks.Binary(name) for name in names]
            )


@pytest.mark.parametrize("method", [None, "uncertainty", "pcgrad"])
def test_a_clone_of_keras_is_refused_for_its_lack_of_tasks(method):
    model = two_task_model(balancing=method)
    with pytest.raises(TaskError, match=r"no tasks to train.*from_config\(model.get_c"):
        keras.models.clone_model(model)
    # What the message says to do.
    copy = type(model).from_config(model.get_config())
    copy.compile(balancing=method)
    x, y = two_task_data()
    copy.fit(x, y, verbose=0)
    assert copy.tasks == model.tasks


def test_compile_refuses_unknown_tasks():
    with pytest.raises(TaskError, match="`loss` must be a dict keyed by tasks among"):
        two_task_model().compile(loss={"sale": "mse"})


MIRRORED = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras
from examples import two_task_data, two_task_model

x, y = two_task_data(16)
y["buy"] = np.where(np.arange(16) < 11, y["buy"], np.nan)  # uneven halves
weights, losses = [], []
for devices in (["cpu:0"], ["cpu:0", "cpu:1"]):
    keras.utils.set_random_seed(0)
    with tf.distribute.MirroredStrategy(devices).scope():
        model = two_task_model(optimizer=keras.optimizers.SGD(0.5))
    history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    losses.append(history.history["buy_loss"])
    weights.append([np.array(v) for v in model.trainable_variables])
np.testing.assert_allclose(*losses, rtol=1e-5)
for one, two in zip(*weights, strict=True):
    np.testing.assert_allclose(one, two, atol=1e-5)
"""


STRINGS = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
import mtlzoo

with tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"]).scope():
    model = mtlzoo.build(
        "shared_bottom",
        inputs={"job": mtlzoo.Categorical(["clerk", "nurse"])},
        tasks=[mtlzoo.tasks.Binary("click")],
    )
x, y = {"job": np.array(["clerk", "nurse"] * 8)}, {"click": np.arange(16) % 2}
losses = model.fit(x, y, batch_size=8, epochs=20, verbose=0).history["loss"]
assert losses[-1] < losses[0], losses
"""


def test_two_replicas_take_strings():
    fresh.run(STRINGS)


def test_two_replicas_train_as_one():
    """Two replicas of half a batch give one replica's update, labels missing or not."""
    fresh.run(MIRRORED)
