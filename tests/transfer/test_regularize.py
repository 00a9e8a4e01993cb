"""Regularised fine-tuning: exact values, and what every method keeps to."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import images, moved, values, vectors
from toys import TASKS, data, functional

import mtlzoo
from mtlzoo import balancing, tasks, transfer
from mtlzoo.errors import DataError, OptionError

METHODS = {
    "l2_sp": lambda strength: transfer.L2SP(strength, head_strength=strength),
    "delta": lambda strength: transfer.DELTA(strength),
    "bss": lambda strength: transfer.BSS(strength, count=4),
}


def penalty(model, x):
    """Return what a training step adds to the loss."""
    model(
        {name: keras.ops.convert_to_tensor(one) for name, one in x.items()},
        training=True,
    )
    return float(sum(model.losses))


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_without_strength_it_is_plain_fine_tuning(self, name):
        weights = []
        for strength in (None, 0.0):
            keras.utils.set_random_seed(0)
            model, x, y = vectors()
            tuned = model
            if strength is not None:
                tuned = transfer.regularize(model, METHODS[name](strength))
            tuned.fit(x, y, epochs=2, shuffle=False, verbose=0)
            weights.append(model.get_weights())
        for one, other in zip(*weights, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)

    def test_it_trains_under_a_balancing_saves_and_goes_on(self, name, tmp_path):
        method = (
            "pcgrad" if name == "l2_sp" else balancing.MGDA(gradients="representation")
        )
        model, x, y = vectors(balancing=method)
        names = [one.path for one in model.weights]
        tuned = transfer.regularize(model, METHODS[name](0.1))
        assert transfer.freeze(tuned, "trunk/dense_1")[0] == "trunk/dense_1/kernel"
        before = values(model)
        tuned.fit(x, y, epochs=2, verbose=0)
        assert "trunk.dense_2/kernel" in moved(model, before)
        assert "trunk.dense_1/kernel" not in moved(model, before)
        assert [one.path for one in model.weights] == names
        found = model.predict(x, verbose=0)
        for task, prediction in tuned.predict(x, verbose=0).items():
            np.testing.assert_array_equal(found[task], prediction)

        tuned.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert penalty(again, x) == pytest.approx(penalty(tuned, x), rel=1e-5)
        assert penalty(again, x) > 0
        for one in (tuned, again):
            one.fit(x, y, shuffle=False, verbose=0)
        for one, other in zip(tuned.weights, again.weights, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)

    def test_a_strength_below_0_is_refused(self, name):
        with pytest.raises(OptionError, match=r"must be at least 0. Received: .*-1"):
            METHODS[name](-1.0)


def test_l2_sp_by_hand():
    model, x, _ = vectors(optimizer="sgd")
    start = {one.path: one.numpy() for one in model.weights}
    tuned = transfer.regularize(model, transfer.L2SP(0.3, head_strength=0.2))
    for variable in model.weights:
        variable.assign(variable + 0.5)
    trunk = sum(np.size(one) * 0.25 for path, one in start.items() if "trunk" in path)
    heads = sum(
        np.sum((one + 0.5) ** 2) for path, one in start.items() if "heads" in path
    )
    assert penalty(tuned, x) == pytest.approx(0.15 * trunk + 0.1 * heads, rel=1e-5)
    # What is frozen can't move, and isn't pulled.
    transfer.freeze(tuned, True)
    assert penalty(tuned, x) == pytest.approx(0.1 * heads, rel=1e-5)


class TestDELTA:
    def test_by_hand(self):
        model, x, _ = images()
        layer = "trunk.stage_2.block_1.relu"
        before = keras.Model(model.inputs, model.get_layer(layer).output)
        old = before.predict(x["photo"], verbose=0)
        tuned = transfer.regularize(model, transfer.DELTA(0.3, layers=[layer]))
        # Else, statistics of the batch would be held against those of the source.
        transfer.freeze(tuned, "batch_norm")
        assert penalty(tuned, x) == pytest.approx(0.0, abs=1e-9)
        kernel = model.get_layer("trunk.stem.conv").kernel
        kernel.assign(2.0 * kernel)
        new = before.predict(x["photo"], verbose=0)
        expected = 0.15 * np.mean(np.sum((new - old) ** 2, axis=-1))
        assert penalty(tuned, x) == pytest.approx(expected, rel=1e-4)

    def test_the_last_layer_of_each_stage_is_compared(self):
        model, _, _ = images()
        tuned = transfer.regularize(model, transfer.DELTA())
        compared = [one.name for one in tuned.get_layer("delta.distance").input[1:5]]
        ends = ["stem.relu", *(f"stage_{i}.block_1.relu" for i in (1, 2))]
        expected = [model.get_layer(f"trunk.{end}").output.name for end in ends]
        assert compared[:3] == expected
        assert compared[3] == model.get_layer("trunk.average").output.name

    def test_the_source_is_never_trained_by_any_toggle(self):
        model, x, y = vectors()
        tuned = transfer.regularize(model, transfer.DELTA())
        transfer.unfreeze(tuned, "*")
        tuned.trainable = False
        tuned.trainable = True
        source = tuned.get_layer("delta.source")
        assert not source.trainable_variables
        before = source.get_weights()
        tuned.fit(x, y, verbose=0)
        for one, other in zip(before, source.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_models_that_others_built_have_stages_too(self):
        model = mtlzoo.MultiTaskModel.from_functional(functional(), TASKS)
        tuned = transfer.regularize(model, transfer.DELTA(1.0))
        assert len(tuned.get_layer("delta.distance").input) == 5
        tuned.fit(*data(16), verbose=0)

    def test_unknown_layers_are_refused(self):
        model, _, _ = vectors()
        with pytest.raises(OptionError, match=r"Did you mean 'trunk\.dense_1'"):
            transfer.regularize(model, transfer.DELTA(layers=["trunk.dens_1"]))


def by_hand():
    """Return a model that predicts `a + 2 b` and `4 b`, and one row of data."""
    inputs = keras.Input((2,), name="x")
    seen = keras.layers.Dense(2, use_bias=False, name="seen")(inputs)
    outputs = {
        "first": keras.layers.Dense(1, use_bias=False, name="first")(seen),
        "second": keras.layers.Dense(1, use_bias=False, name="second")(seen),
    }
    model = mtlzoo.MultiTaskModel.from_functional(
        keras.Model(inputs, outputs),
        [tasks.Regression("first"), tasks.Regression("second", loss_weight=0.25)],
    )
    kernels = (np.eye(2), np.array([[1.0], [2.0]]), np.array([[0.0], [4.0]]))
    model.set_weights([np.asarray(one, "float32") for one in kernels])
    x = {"x": np.array([[1.0, 0.5]], "float32")}
    return model, x, {"first": np.array([2.0]), "second": np.array([2.0])}


class TestChannelWeights:
    """What the loss rises by, each channel set to 0 in turn."""

    @pytest.mark.parametrize("standardize", [False, True])
    def test_by_hand(self, standardize):
        model, x, y = by_hand()
        # Without a: (2 - 1)^2 = 1. Without b: (2 - 1)^2 + 0.25 (2 - 0)^2 = 2.
        rises = np.array([1.0, 2.0])
        if standardize:
            rises = np.array([-1.0, 1.0]) / 5
        expected = 2 * np.exp(rises) / np.sum(np.exp(rises))
        found = transfer.channel_weights(
            model, (x, y), layers=["seen"], standardize=standardize, progress=False
        )
        np.testing.assert_allclose(found["seen"], expected, rtol=1e-5)

    def test_rows_count_the_same_in_batches_of_any_size(self):
        model, x, y = images()
        found = [
            transfer.channel_weights(model, data, batches=None, progress=False)
            for data in (
                (x, y),
                tf.data.Dataset.from_tensor_slices((x, y)).batch(6),
            )
        ]
        assert found[0].keys() == found[1].keys()
        for name, weights in found[0].items():
            assert np.mean(weights) == pytest.approx(1.0)
            np.testing.assert_allclose(found[1][name], weights, rtol=1e-3)
        assert "trunk.average" in found[0]
        first = transfer.channel_weights(
            model, (x, y), batches=1, batch_size=6, progress=False
        )
        assert first != found[0]

    def test_labels_may_be_missing(self):
        model, x, y = by_hand()
        found = transfer.channel_weights(
            model, (x, {"first": y["first"]}), layers=["seen"], progress=False
        )
        np.testing.assert_allclose(found["seen"], [1.0, 1.0], rtol=1e-5)

    def test_the_model_stays_as_it_is(self, capsys):
        model, x, y = images()
        before = values(model)
        names = [one.name for one in model.layers]
        transfer.channel_weights(model, (x, y), layers=["trunk.average"])
        assert not moved(model, before)
        assert [one.name for one in model.layers] == names
        assert "channels" in capsys.readouterr().err
        model.fit(x, y, verbose=0)

    def test_delta_counts_channels_by_them(self, tmp_path):
        model, x, _ = by_hand()
        delta = transfer.DELTA(0.3, weights={"seen": [0.5, 1.5]})
        tuned = transfer.regularize(model, delta)
        model.get_layer("seen").kernel.assign([[3.0, 0.0], [0.0, 5.0]])
        # Features were (1, 0.5) and are (3, 2.5).
        expected = 0.3 / 2 * (0.5 * 2.0**2 + 1.5 * 2.0**2)
        assert penalty(tuned, x) == pytest.approx(expected, rel=1e-5)
        tuned.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert penalty(again, x) == pytest.approx(expected, rel=1e-5)

    def test_weights_of_one_are_delta_without_attention(self):
        model, x, y = images()
        plain = transfer.regularize(model, transfer.DELTA(0.3))
        layers = list(transfer.channel_weights(model, (x, y), progress=False))
        equal = {
            name: [1.0] * model.get_layer(name).output.shape[-1] for name in layers
        }
        weighted = transfer.regularize(model, transfer.DELTA(0.3, weights=equal))
        transfer.freeze(model, "batch_norm")
        kernel = model.get_layer("trunk.stem.conv").kernel
        kernel.assign(2.0 * kernel)
        assert penalty(weighted, x) == pytest.approx(penalty(plain, x), rel=1e-5)

    def test_what_does_not_fit_is_refused(self):
        model, x, y = by_hand()
        with pytest.raises(OptionError, match="has 2 channels, and there are weight"):
            transfer.regularize(model, transfer.DELTA(weights={"seen": [1.0]}))
        with pytest.raises(OptionError, match=r"must be those of `layers`.* of seen"):
            transfer.DELTA(layers=["other"], weights={"seen": [1.0]})
        with pytest.raises(OptionError, match=r"Did you mean 'seen'"):
            transfer.channel_weights(model, (x, y), layers=["sen"])
        with pytest.raises(DataError, match="measured with labels"):
            transfer.channel_weights(model, x)
        rows = tf.data.Dataset.from_tensor_slices((x, y)).batch(1).take(0)
        with pytest.raises(DataError, match="no row in the data to measure"):
            transfer.channel_weights(model, rows, layers=["seen"], progress=False)
        copy = type(model).from_config(model.get_config())
        with pytest.raises(OptionError, match=r"isn't compiled: call model.compile"):
            transfer.channel_weights(copy, (x, y))


class TestBSS:
    def test_by_hand(self):
        model, x, _ = vectors()
        features = model.representations(x, verbose=0)["click"]
        singular = np.linalg.svd(features, compute_uv=False)
        for count in (1, 3):
            tuned = transfer.regularize(model, transfer.BSS(0.5, count=count))
            expected = 0.5 * np.sum(singular[-count:] ** 2)
            assert penalty(tuned, x) == pytest.approx(expected, rel=1e-3, abs=1e-7)

    def test_it_shrinks_the_smallest(self):
        model, x, y = vectors()
        tuned = transfer.regularize(model, transfer.BSS(1.0, count=2))
        before = penalty(tuned, x)
        tuned.fit(x, y, epochs=10, verbose=0)
        assert penalty(tuned, x) < 0.9 * before

    def test_evaluation_is_without_it(self):
        model, x, y = vectors()
        tuned = transfer.regularize(model, transfer.BSS(100.0))
        plain = model.evaluate(x, y, verbose=0, return_dict=True)
        found = tuned.evaluate(x, y, verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(plain["loss"], rel=1e-6)

    def test_no_values_are_refused(self):
        with pytest.raises(OptionError, match="Received: count=0"):
            transfer.BSS(count=0)


def test_methods_add_up_and_nothing_else_is_taken():
    model, x, y = vectors()
    both = transfer.regularize(model, transfer.BSS(0.5), transfer.L2SP(0.1))
    one = transfer.regularize(model, transfer.BSS(0.5))
    other = transfer.regularize(model, transfer.L2SP(0.1))
    total = penalty(one, x) + penalty(other, x)
    assert penalty(both, x) == pytest.approx(total, rel=1e-5)
    both.fit(x, y, verbose=0)
    for methods in ((), ("l2_sp",)):
        with pytest.raises(OptionError, match=r"takes a model and methods such as"):
            transfer.regularize(model, *methods)


def test_methods_show_their_options():
    assert repr(transfer.L2SP(0.2)) == "L2SP(strength=0.2)"
    assert transfer.DELTA(0.1, layers=["a"]) == transfer.DELTA(0.1, layers=["a"])
