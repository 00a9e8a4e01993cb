"""Gradual unfreezing, learning rates by depth, warm-up."""

import keras
import numpy as np
import pytest
from networks import images, moved, values, vectors

from mtlzoo import balancing, transfer
from mtlzoo.errors import OptionError


class Frozen(keras.callbacks.Callback):
    """Notes which layers of the trunk have moved in each epoch."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.before = values(self.model, "trunk")

    def on_epoch_end(self, epoch, logs=None):
        names = {path.split("/")[0] for path in moved(self.model, self.before)}
        self.epochs.append(sorted({name.split(".")[1] for name in names}))


class TestGradualUnfreeze:
    def test_stages_learn_from_the_top_down(self):
        model, x, y = images(balancing="uncertainty")
        notes = Frozen()
        unfreeze = transfer.GradualUnfreeze(start=1, every=2)
        model.fit(x, y, epochs=8, verbose=0, callbacks=[unfreeze, notes])
        stages = ["stage_1", "stage_2", "stage_3", "stem"]
        one, two, three = stages[2:3], stages[1:3], stages[:3]
        assert notes.epochs == [[], one, one, two, two, three, three, stages]

    def test_it_goes_on_where_it_stopped_and_leaves_what_it_is_told_to(self):
        model, x, y = vectors(balancing="pcgrad")
        notes = Frozen()
        unfreeze = transfer.GradualUnfreeze(start=0, leave="trunk/dense_2")
        callbacks = [unfreeze, notes]
        model.fit(x, y, epochs=1, verbose=0, callbacks=callbacks)
        steps = int(model.optimizer.iterations)
        model.fit(x, y, initial_epoch=1, epochs=2, verbose=0, callbacks=callbacks)
        assert notes.epochs == [[], ["dense_1"]]
        assert int(model.optimizer.iterations) == 2 * steps

    @pytest.mark.parametrize("options", [{"start": -1}, {"every": 0}])
    def test_bad_epochs_are_refused(self, options):
        with pytest.raises(OptionError, match="`every` at least 1 epoch"):
            transfer.GradualUnfreeze(**options)


def rates(optimizer):
    return {
        one.name: float(keras.ops.convert_to_numpy(one.learning_rate))
        for one in optimizer.optimizers
    }


class TestLayerwiseLearningRates:
    def test_each_stage_has_its_own(self):
        model, _, _ = images(balancing="uncertainty")
        optimizer = transfer.layerwise_learning_rates(
            model, 1.0, 0.5, optimizer=keras.optimizers.SGD(momentum=0.9)
        )
        assert rates(optimizer) == {
            "stem": 0.0625,
            "stage_1": 0.125,
            "stage_2": 0.25,
            "stage_3": 0.5,
            "heads": 1.0,
        }
        assert all(one.momentum == 0.9 for one in optimizer.optimizers)
        of = {
            variable.path: optimizer._optimizer_map(variable).name
            for variable in model.trainable_variables
        }
        assert of["trunk.stage_2.block_1.first.conv/kernel"] == "stage_2"
        assert of["trunk.stage_3.block_1.shortcut/kernel"] == "stage_3"
        assert of["heads.click.logits/kernel"] == "heads"
        assert set(of.values()) == set(rates(optimizer))

    @pytest.mark.parametrize(
        "method", [None, balancing.MGDA(gradients="representation")], ids=repr
    )
    def test_it_trains_with_tasks_absent_saves_and_goes_on(self, method, tmp_path):
        model, x, y = vectors()
        optimizer = transfer.layerwise_learning_rates(
            model, transfer.WarmUp(0.1, steps=3), 0.5, optimizer="sgd"
        )
        model.compile(optimizer, balancing=method)
        model.fit(x, y, epochs=2, verbose=0)
        if method is None:
            before = values(model, "heads.buy")
            model.fit(x, {"click": y["click"]}, verbose=0)
            assert not moved(model, before)
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert type(again.optimizer) is type(model.optimizer)
        assert rates(again.optimizer) == rates(model.optimizer)
        for one in (model, again):
            one.fit(x, y, shuffle=False, verbose=0)
        for one, other in zip(model.weights, again.weights, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)
        # Toggles work as ever.
        transfer.freeze(again, "trunk/dense_1")
        before = values(again, "trunk.dense_1")
        again.fit(x, y, verbose=0)
        assert not moved(again, before)

    def test_a_step_is_as_long_as_its_rate(self):
        steps = {}
        for decay in (1.0, 0.5):
            keras.utils.set_random_seed(0)
            model, x, y = vectors()
            optimizer = transfer.layerwise_learning_rates(
                model, 0.1, decay, optimizer="sgd"
            )
            model.compile(optimizer)
            before = values(model)
            model.train_on_batch(x, y)
            steps[decay] = {
                model.variables[index].path: model.variables[index].numpy() - value
                for index, value in before.items()
            }
        for path, step in steps[1.0].items():
            factor = {"trunk.dense_1": 0.25, "trunk.dense_2": 0.5}
            expected = step * factor.get(path.split("/")[0], 1.0)
            np.testing.assert_allclose(steps[0.5][path], expected, atol=1e-7)

    def test_mixed_precision(self):
        keras.config.set_dtype_policy("mixed_float16")
        model, x, y = vectors()
        model.compile(transfer.layerwise_learning_rates(model, 0.01))
        before = values(model, "trunk")
        model.fit(x, y, epochs=3, verbose=0)
        assert moved(model, before)

    def test_keras_schedules_reach_every_part(self):
        model, x, y = vectors()
        model.compile(transfer.layerwise_learning_rates(model, 0.1, 0.5))
        halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
        logs = model.fit(x, y, verbose=0, callbacks=[halve]).history
        assert logs["learning_rate_dense_1"] == pytest.approx([0.0125])
        assert logs["learning_rate_heads"] == pytest.approx([0.05])

    def test_what_it_cannot_do_is_refused(self):
        model, _, _ = vectors()
        for decay in (0.0, 1.5):
            with pytest.raises(OptionError, match=f"Received: decay={decay}"):
                transfer.layerwise_learning_rates(model, decay=decay)
        first = transfer.layerwise_learning_rates(model)
        with pytest.raises(OptionError, match="Received: LayerwiseOptimizer"):
            transfer.layerwise_learning_rates(model, optimizer=first)


class TestWarmUp:
    def test_it_rises_and_then_is_the_rate(self):
        schedule = transfer.WarmUp(0.4, steps=4)
        found = [float(schedule(step)) for step in range(6)]
        np.testing.assert_allclose(found, [0.1, 0.2, 0.3, 0.4, 0.4, 0.4], rtol=1e-6)

    def test_a_schedule_follows_and_is_saved(self):
        after = keras.optimizers.schedules.CosineDecay(0.4, 10)
        schedule = transfer.WarmUp(after, steps=4)
        again = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(schedule)
        )
        for step in range(12):
            rise = min((step + 1) / 4, 1.0)
            expected = rise * float(after(max(step - 4, 0)))
            assert float(again(step)) == pytest.approx(expected, rel=1e-6)

    def test_no_steps_are_refused(self):
        with pytest.raises(OptionError, match="Received: steps=0"):
            transfer.WarmUp(0.1, 0)
