"""What is frozen stays, what is freed learns, whenever it was said."""

import math

import fresh
import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import images, moved, values, vectors
from toggled_replicas import toggle_all
from toys import data, functional, toy

import mtlzoo
from mtlzoo import balancing, tasks, transfer, trunks
from mtlzoo.errors import OptionError, UnknownNameError

METHODS = [
    None,
    "uncertainty",
    balancing.DualBalancing(),  # remembers gradients of each variable
    balancing.MGDA(gradients="representation"),
]


def copy_of(method):
    return (
        method
        if method is None or isinstance(method, str)
        else (type(method).from_config(method.get_config()))
    )


@pytest.mark.parametrize("method", [None, METHODS[-1]], ids=repr)
def test_frozen_weights_and_statistics_do_not_move_by_one_bit(method):
    model, x, y = images(balancing=copy_of(method))
    model.fit(x, y, verbose=0)  # statistics are no longer those of a new layer
    transfer.freeze(model)
    trunk, others = values(model, "trunk"), values(model, "heads")
    model.fit(x, y, batch_size=8, epochs=5, verbose=0)  # 10 steps
    assert not moved(model, trunk)
    assert len(moved(model, others)) == len(others)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_what_is_freed_after_compile_learns(method, tmp_path):
    model, x, y = vectors(balancing=copy_of(method))
    transfer.freeze(model, "trunk/*")
    trunk, others = values(model, "trunk"), values(model, "heads")
    model.fit(x, y, epochs=2, verbose=0)
    assert not moved(model, trunk)
    assert len(moved(model, others)) == len(others)

    freed = {"trunk.dense_2/kernel", "trunk.dense_2/bias"}
    steps = int(model.optimizer.iterations)
    assert len(transfer.unfreeze(model, "trunk/dense_2")) == 2
    model.fit(x, y, verbose=0)
    assert moved(model, trunk) == freed
    assert int(model.optimizer.iterations) > steps

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    trunk = values(again, "trunk")
    again.fit(x, y, verbose=0)
    assert moved(again, trunk) == freed


class TestByHand:
    """The flags of Keras itself, which its own `fit` takes no notice of."""

    def test_layers_freed_after_compile_learn(self):
        model, x, y = vectors()
        layer = model.get_layer("trunk.dense_1")
        layer.trainable = False
        model.fit(x, y, verbose=0)
        before = values(model, "trunk.dense_1")
        layer.trainable = True
        model.fit(x, y, verbose=0)
        assert len(moved(model, before)) == 2

    def test_layers_frozen_after_compile_stay(self):
        model, x, y = vectors()
        model.fit(x, y, verbose=0)
        model.get_layer("trunk.dense_1").trainable = False
        before = values(model, "trunk.dense_1")
        model.train_on_batch(x, y)
        assert not moved(model, before)

    def test_a_batch_normalization_alone(self):
        model, x, y = images()
        model.fit(x, y, verbose=0)
        layer = model.get_layer("trunk.stem.norm")
        before = layer.moving_mean.numpy()
        layer.trainable = False
        model.fit(x, y, verbose=0)
        np.testing.assert_array_equal(layer.moving_mean.numpy(), before)

    def test_a_model_saved_between_flag_and_fit_loads_without_a_word(self, tmp_path):
        model, x, y = vectors()
        model.fit(x, y, verbose=0)
        model.get_layer("trunk.dense_1").trainable = False
        model.save(tmp_path / "model.keras")  # a warning of Keras would be an error
        again = keras.saving.load_model(tmp_path / "model.keras")
        before = values(again, "trunk.dense_1")
        again.fit(x, y, verbose=0)
        assert not moved(again, before)


def test_the_optimizer_keeps_the_state_of_what_stays():
    model, x, y = vectors(optimizer=keras.optimizers.AdamW(0.01, weight_decay=0.1))
    model.optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.fit(x, y, epochs=2, verbose=0)
    slots = {one.path: one.numpy() for one in model.optimizer.variables}
    patterns = model.optimizer._exclude_from_weight_decay_pattern
    transfer.freeze(model, "trunk/dense_1")
    left = {one.path: one.numpy() for one in model.optimizer.variables}
    assert len(left) == len(slots) - 4
    for path, value in left.items():
        np.testing.assert_array_equal(value, slots[path])
    transfer.unfreeze(model, "trunk/dense_1")
    assert model.optimizer._exclude_from_weight_decay_pattern == patterns
    fresh = {one.path: one.numpy() for one in model.optimizer.variables}
    assert fresh.keys() == slots.keys()
    for path in fresh.keys() - left.keys():
        assert not fresh[path].any()


def test_toggling_back_and_forth_is_as_if_nothing_had_been():
    weights = []
    for toggled in (False, True):
        keras.utils.set_random_seed(0)
        model, x, y = vectors(
            balancing="uncertainty", optimizer=keras.optimizers.SGD(0.1)
        )
        model.fit(x, y, shuffle=False, verbose=0)
        if toggled:
            transfer.freeze(model)
            transfer.unfreeze(model)
        model.fit(x, y, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_another_balancing_takes_the_place_of_the_first():
    model, x, y = vectors(balancing="uncertainty")
    count = len(model.variables)
    model.compile(balancing="uncertainty")
    assert len(model.variables) == count
    model.compile()
    assert len(model.trainable_variables) == 12  # those of six dense layers
    model.fit(x, y, verbose=0)


def test_mixed_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    model, x, y = vectors()
    transfer.freeze(model)
    model.fit(x, y, verbose=0)
    transfer.unfreeze(model)
    before = values(model, "trunk")
    model.fit(x, y, epochs=3, verbose=0)
    assert moved(model, before)
    model.save(tmp_path / "model.keras")
    keras.saving.load_model(tmp_path / "model.keras").fit(x, y, verbose=0)


class TestWords:
    def test_of_the_trunk_alone(self):
        model, _, _ = images()
        transfer.set_trainable(model, "batch_norm")
        trained = {one.path for one in model.trainable_variables}
        assert {one for one in trained if one.startswith("trunk")} == {
            one.path
            for one in model.variables
            if one.path.startswith("trunk") and one.path.endswith(("gamma", "beta"))
        }
        assert {one for one in trained if one.startswith("heads")}
        transfer.set_trainable(model, "stage:stage_3")
        names = {one.path.split("/")[0] for one in model.trainable_variables}
        assert all(one.startswith(("trunk.stage_3", "heads")) for one in names)
        transfer.freeze(model, "batch_norm")
        assert not model.get_layer("trunk.stage_3.block_1.first.norm").trainable

    def test_patterns_reach_heads(self):
        model, x, y = vectors()
        transfer.freeze(model, ["heads/click/*", "trunk.dense_1"])
        before = values(model)
        model.fit(x, y, verbose=0)
        trunk = {one for one in moved(model, before) if one.startswith("trunk")}
        assert trunk == {"trunk.dense_2/kernel", "trunk.dense_2/bias"}
        assert not any("click" in one for one in moved(model, before))

    def test_models_that_others_built_have_a_trunk_too(self):
        model = toy()
        assert transfer.freeze(model) == [
            "trunk/low/kernel",
            "trunk/low/bias",
            "trunk/high/kernel",
            "trunk/high/bias",
        ]
        named = transfer.unfreeze(model, "heads/price/*")
        assert named == ["heads/price/price/kernel", "heads/price/price/bias"]

    def test_a_keras_model_as_trunk(self):
        base = keras.Sequential(
            [keras.Input((7,)), keras.layers.Dense(4, name="one")], name="mine"
        )
        model = mtlzoo.build(
            "shared_bottom",
            inputs={"x": (7,)},
            tasks=[tasks.Binary("click")],
            trunk=base,
        )
        assert transfer.freeze(model) == [
            "trunk/mine/one/kernel",
            "trunk/mine/one/bias",
        ]
        assert transfer.trainable_report(model).rows[0].trained == 0

    @pytest.mark.parametrize("call", [transfer.freeze, transfer.unfreeze])
    def test_what_matches_nothing_is_refused(self, call):
        model, _, _ = vectors()
        before = len(model.trainable_variables)
        with pytest.raises(UnknownNameError, match="Did you mean 'trunk/dense_1'"):
            call(model, "trnk/dense_1")
        assert len(model.trainable_variables) == before

    def test_other_models_are_refused(self):
        with pytest.raises(OptionError, match="works on a MultiTaskModel"):
            transfer.freeze(functional())

    def test_an_uncompiled_model_is_toggled(self):
        model = toy()
        model = type(model).from_config(model.get_config())
        transfer.freeze(model)
        model.compile(keras.optimizers.SGD(0.1))
        before = values(model, "low")
        model.fit(*data(16), verbose=0)
        assert not moved(model, before)


class TestLowRankChanges:
    def test_they_train_alone_save_and_go_on(self, tmp_path):
        model, x, y = vectors()
        kernel = model.get_layer("trunk.dense_1")._kernel
        before = kernel.numpy()
        expected = model.predict(x, verbose=0)
        transfer.set_trainable(model, "lora:2")
        found = model.predict(x, verbose=0)
        np.testing.assert_array_equal(found["click"], expected["click"])
        model.fit(x, y, epochs=3, verbose=0)
        np.testing.assert_array_equal(kernel.numpy(), before)
        assert np.any(model.get_layer("trunk.dense_1").lora_kernel_b)
        trained = model.predict(x, verbose=0)
        assert not np.allclose(trained["click"], expected["click"])

        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        reloaded = again.predict(x, verbose=0)
        np.testing.assert_allclose(reloaded["click"], trained["click"], atol=1e-6)
        trunk = values(again, "trunk")
        again.fit(x, y, epochs=2, verbose=0)
        assert {one.split("/")[1] for one in moved(again, trunk)} == {
            "lora_kernel_a",
            "lora_kernel_b",
        }

    def test_in_attention_they_survive_too(self, tmp_path):
        model = mtlzoo.build(
            "shared_bottom",
            inputs={"series": (5, 3)},
            tasks=[tasks.Binary("click")],
            trunk=trunks.Transformer(1, width=4, num_heads=2, feedforward=4),
        )
        transfer.set_trainable(model, "lora:2")
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        paths = {one.path for one in again.trainable_variables}
        assert "trunk.block_1.attention/query/lora_kernel_a" in paths
        assert paths == {one.path for one in model.trainable_variables}

    def test_merged_they_cost_nothing_and_export(self, tmp_path):
        model, x, y = vectors()
        count = len(model.weights)
        transfer.set_trainable(model, "lora:2")
        model.fit(x, y, epochs=2, verbose=0)
        expected = model.predict(x, verbose=0)
        # It checks the answers itself; the model keeps its changes.
        served = mtlzoo.export.saved_model(model, tmp_path / "served", warmup=False)
        stored = tf.train.list_variables(str(served / "variables" / "variables"))
        sizes = [math.prod(shape) for name, shape in stored if "VALUE" in name]
        changes = 2 * (7 + 8) + 2 * (8 + 6)
        assert sum(sizes) == model.count_params() - changes
        assert model.get_layer("trunk.dense_1").lora_enabled
        assert transfer.merge_lora(model) is model
        assert len(model.weights) == count
        np.testing.assert_allclose(
            model.predict(x, verbose=0)["click"], expected["click"], atol=1e-6
        )
        frozen = values(model, "trunk")
        model.fit(x, y, verbose=0)
        assert not moved(model, frozen)
        transfer.unfreeze(model)
        model.fit(x, y, verbose=0)
        assert moved(model, frozen)

    def test_they_are_refused_where_they_make_no_sense(self):
        model, _, _ = vectors()
        with pytest.raises(OptionError, match="'lora:N' is for what is trained"):
            transfer.freeze(model, "lora:2")
        with pytest.raises(OptionError, match="has no low-rank changes"):
            transfer.merge_lora(model)


def test_a_step_at_work_goes_on_when_the_model_is_saved(tmp_path):
    class Hand(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.get_layer("trunk.dense_1").trainable = False
            self.model.save(tmp_path / "model.keras")

    model, x, y = vectors()
    model.fit(x, y, batch_size=16, verbose=0, callbacks=[Hand()])
    before = values(model, "trunk.dense_1")
    model.fit(x, y, verbose=0)
    assert not moved(model, before)


def test_what_only_helps_to_train_is_no_part_of_the_trunk():
    model, _, _ = vectors()
    adapted = transfer.adapt(model, transfer.DANN())
    named = transfer.freeze(adapted)
    assert all(path.startswith("trunk/dense") for path in named)
    parts = [row.part for row in transfer.trainable_report(adapted).rows]
    assert parts == ["trunk", "heads/click", "heads/buy", "adapt"]


@pytest.mark.slow
def test_toggles_take_effect_on_replicas():
    """After compile and inside `fit`, with two devices that train in step."""
    assert fresh.call(toggle_all) == 4


class TestReport:
    def test_counts_and_megabytes_of_each_part(self):
        model, _, _ = images(balancing="uncertainty")
        transfer.set_trainable(model, "last:1")
        report = transfer.trainable_report(model)
        rows = {row.part: row for row in report.rows}
        assert list(rows) == ["trunk", "heads/click", "heads/buy", "balancing"]
        assert rows["trunk"].trained == 2 * 16  # the scale and shift of the last norm
        assert rows["heads/click"].trained == 17
        assert rows["heads/click"].megabytes == pytest.approx(17 * 4 / 1e6)
        trunk = [one for one in model.variables if one.path.startswith("trunk")]
        count = sum(int(np.prod(one.shape)) for one in trunk)
        assert rows["trunk"].trained + rows["trunk"].frozen == count
        assert report.total.trained == 32 + 34 + 2

    def test_it_prints_as_a_table(self):
        model, _, _ = vectors(architecture="mmoe", num_experts=2)
        transfer.freeze(model)
        lines = str(transfer.trainable_report(model)).splitlines()
        assert lines[0].split() == ["part", "trained", "frozen", "trained", "MB", "MB"]
        assert lines[1].split()[:3] == ["trunk", "0", "118"]
        assert lines[2].split()[0] == "sharing"
        assert lines[-1].split()[0] == "total"
        assert repr(transfer.trainable_report(model)) == "\n".join(lines)
