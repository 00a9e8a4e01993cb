"""Heads that are added, replaced, dropped and grafted."""

import keras
import numpy as np
import pytest
from networks import images, moved, values, vectors
from toys import toy

import mtlzoo
from mtlzoo import heads, tasks, transfer, trunks
from mtlzoo.errors import BundleError, OptionError, TaskError, UnknownNameError


def with_hours(y):
    return {**y, "hours": np.linspace(0.0, 5.0, len(y["click"]), dtype="float32")}


def test_a_head_is_added_and_the_others_stay_bit_for_bit(tmp_path):
    model, x, y = vectors(balancing="uncertainty")
    model.fit(x, y, verbose=0)
    expected = model.predict(x, verbose=0)
    moments = {one.path: one.numpy() for one in model.optimizer.variables}
    added = transfer.add_head(model, tasks.Regression("hours"), heads.Tower((3,)))
    assert [one.name for one in added.tasks] == ["click", "buy", "hours"]
    found = added.predict(x, verbose=0)
    for name, prediction in expected.items():
        np.testing.assert_array_equal(found[name], prediction)
    kept = {one.path: one.numpy() for one in added.optimizer.variables}
    for path in kept.keys() & moments.keys():
        np.testing.assert_array_equal(kept[path], moments[path])
    assert any("heads.click" in path for path in kept.keys() & moments.keys())

    transfer.freeze(added, ["trunk/*", "heads/click/*", "heads/buy/*"])
    before = values(added)
    added.fit(x, with_hours(y), epochs=2, verbose=0)
    names = {path.split("/")[0] for path in moved(added, before)}
    assert {name for name in names if "." in name} == {
        "heads.hours.dense_1",
        "heads.hours.logits",
    }
    added.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for name, prediction in added.predict(x, verbose=0).items():
        np.testing.assert_allclose(
            again.predict(x, verbose=0)[name], prediction, atol=1e-6
        )
    assert set(again.representations(x, verbose=0)) == {"click", "buy", "hours"}


def test_a_head_is_replaced():
    model, x, y = vectors()
    model.fit(x, y, verbose=0)
    expected = model.predict(x, verbose=0)
    made = transfer.replace_head(model, tasks.Multiclass("buy", 3), heads.Tower(()))
    assert [repr(one) for one in made.tasks] == [
        repr(model.tasks[0]),
        repr(tasks.Multiclass("buy", 3)),
    ]
    found = made.predict(x, verbose=0)
    np.testing.assert_array_equal(found["click"], expected["click"])
    assert found["buy"].shape == (32, 3)
    made.fit(x, {**y, "buy": np.arange(32) % 3}, verbose=0)


def test_a_head_is_dropped(tmp_path):
    model, x, y = vectors(balancing="pcgrad")
    model = transfer.add_head(model, tasks.Regression("hours"))
    model.fit(x, with_hours(y), verbose=0)
    expected = model.predict(x, verbose=0)
    left = transfer.drop_head(model, "buy")
    assert not any("buy" in one.path for one in left.variables)
    np.testing.assert_array_equal(
        left.predict(x, verbose=0)["hours"], expected["hours"]
    )
    left.fit(x, {"click": y["click"]}, verbose=0)
    left.save(tmp_path / "model.keras")
    keras.saving.load_model(tmp_path / "model.keras")
    with pytest.raises(TaskError, match="at least 2 tasks"):
        transfer.drop_head(left, "click")  # what is left can't be balanced so
    left.compile()
    with pytest.raises(TaskError, match="'hours' is the last task"):
        transfer.drop_head(transfer.drop_head(left, "click"), "hours")


class TestGraft:
    def models(self):
        """Return two models of one trained base, the second with a head for hours."""
        model, x, y = vectors()
        model.fit(x, y, verbose=0)
        other = type(model).from_config(model.get_config())
        other.compile()
        other.set_weights(model.get_weights())
        other = transfer.add_head(
            transfer.drop_head(other, "buy"), tasks.Count("hours")
        )
        transfer.freeze(other)
        other.fit(x, {"click": y["click"], "hours": np.arange(32)}, verbose=0)
        return model, other, x

    def test_a_head_keeps_its_predictions_on_another_model(self, tmp_path):
        model, other, x = self.models()
        assert transfer.base_fingerprint(model, "buy") == transfer.base_fingerprint(
            other, "hours"
        )
        expected = {**model.predict(x, verbose=0), **other.predict(x, verbose=0)}
        before = model.predict(x, verbose=0)
        grafted = transfer.graft(model, other, "hours")
        assert grafted.tasks[-1] == other.tasks[-1]
        grafted.save(tmp_path / "model.keras")
        for one in (grafted, keras.saving.load_model(tmp_path / "model.keras")):
            found = one.predict(x, verbose=0)
            np.testing.assert_allclose(found["hours"], expected["hours"], rtol=1e-6)
            np.testing.assert_allclose(found["click"], before["click"], rtol=1e-6)
        # It is a copy: what the one learns, the other doesn't.
        grafted.get_layer("heads.hours.logits").bias.assign([7.0])
        assert other.get_layer("heads.hours.logits").bias.numpy() != 7.0

    def test_another_base_is_refused(self):
        model, other, _ = self.models()
        kernel = model.get_layer("trunk.dense_1").kernel
        nearly = kernel.numpy()
        nearly[0, 0] = np.nextafter(nearly[0, 0], 1.0)  # one bit
        kernel.assign(nearly)
        with pytest.raises(BundleError, match="was trained on another base"):
            transfer.graft(model, other, "hours")

    def test_statistics_of_the_base_count(self):
        model, _, _ = images()
        before = transfer.base_fingerprint(model, "click")
        transfer.freeze(model)
        assert transfer.base_fingerprint(model, "click") == before
        model.get_layer("trunk.stem.norm").moving_mean.assign(np.ones(4))
        assert transfer.base_fingerprint(model, "click") != before

    def test_names_are_checked(self):
        model, other, _ = self.models()
        with pytest.raises(UnknownNameError, match="Did you mean 'hours'"):
            transfer.graft(model, other, "hour")
        with pytest.raises(TaskError, match="has an output 'click' already"):
            transfer.graft(model, other, "click")

    def test_a_head_that_reads_more_than_its_own_stays(self):
        model, _, _ = vectors()
        both = keras.layers.multiply(list(model.output.values()))
        chained = mtlzoo.MultiTaskModel(
            model.input, {**model.output, "buy": both}, tasks=model.tasks
        )
        with pytest.raises(TaskError, match="reads more than its own representation"):
            transfer.graft(transfer.drop_head(model, "buy"), chained, "buy")


class TestWhatAHeadReads:
    def test_experts_have_one_representation_a_task(self):
        model, x, _ = vectors(architecture="mmoe", num_experts=2)
        with pytest.raises(OptionError, match="one of click, buy"):
            transfer.add_head(model, tasks.Binary("more"))
        made = transfer.add_head(model, tasks.Binary("more"), like="buy")
        found = made.representations(x, verbose=0)
        np.testing.assert_array_equal(found["more"], found["buy"])
        assert not np.array_equal(found["more"], found["click"])

    def test_a_map_is_found_in_the_trunk(self):
        model, x, _ = images()
        made = transfer.add_head(model, tasks.Dense("pixels", 3), heads.Tower(()))
        assert made.predict(x, verbose=0)["pixels"].shape == (16, 8, 8, 3)
        with pytest.raises(TaskError, match="reads map features, of 4 axes"):
            transfer.replace_head(made, tasks.Dense("click", 3))

    def test_what_is_not_there_is_said(self):
        model, _, _ = vectors()
        with pytest.raises(
            TaskError, match="reads sequence features, and the trunk of"
        ):
            transfer.add_head(model, tasks.SequenceTagging("tags", 3))
        with pytest.raises(OptionError, match="no representation of a task 'nothing'"):
            transfer.add_head(model, tasks.Binary("more"), like="nothing")
        with pytest.raises(OptionError, match=r"Only models of mtlzoo\.build have"):
            transfer.add_head(toy(), tasks.Binary("more"))
        with pytest.raises(UnknownNameError, match="Did you mean 'click'"):
            transfer.drop_head(model, "clik")
        with pytest.raises(UnknownNameError, match="Did you mean 'click'"):
            transfer.replace_head(model, tasks.Binary("clik"))
        with pytest.raises(TaskError, match="has an output 'click' already"):
            transfer.add_head(model, tasks.Binary("click"))

    def test_a_head_that_others_need_stays(self):
        model, _, _ = vectors(architecture="cascade")
        with pytest.raises(TaskError, match="depend on the head of 'click'"):
            transfer.replace_head(model, tasks.Multiclass("click", 3))

    def test_penalties_on_a_task_are_refused(self):
        model, _, _ = vectors(architecture="soft_sharing", trunk=trunks.MLP((4,)))
        with pytest.raises(TaskError, match="is about 'buy'"):
            transfer.drop_head(model, "buy")
