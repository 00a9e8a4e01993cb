"""Several data sets as one stream: proportions, restarts, resuming, training."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import mtlzoo
from mtlzoo import features, tasks, trunks
from mtlzoo.datasets import Dataset, interleave, joint
from mtlzoo.errors import DataError, TaskError, UnknownNameError

LARGE, SMALL = 10_000, 100


def numbered(rows, task, columns=("u",), **splits):
    """Return a data set whose every column holds the number of its row."""

    def part(count):
        x = {name: np.arange(count, dtype="float32") for name in columns}
        return x, {task.name: np.arange(count) % 2}

    return Dataset(
        "numbered",
        {
            split: part(splits.get(split, rows))
            for split in ("train", "validation", "test")
        },
        inputs=dict.fromkeys(columns, ()),
        tasks=[task],
    )


def two_sets(large=LARGE, small=SMALL, **options):
    return {
        "large": numbered(large, tasks.Binary("click"), ("u", "v"), **options),
        "small": numbered(small, tasks.Binary("buy"), ("u", "w"), **options),
    }


def stream(large=LARGE, small=SMALL, **options):
    return interleave(two_sets(large, small), **options)


def batches(data):
    return [
        {**x, **{f"y.{name}": one for name, one in y.items()}}
        for x, y in data.as_numpy_iterator()
    ]


def assert_same_batches(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


SHARES = {
    "proportional": (LARGE, SMALL),
    "temperature": (math.sqrt(LARGE), math.sqrt(SMALL)),
    "uniform": (1, 1),
}


@pytest.mark.parametrize("batches_are", ["separate", "mixed"])
@pytest.mark.parametrize("sampling", SHARES)
def test_sets_are_drawn_in_the_asked_proportions(sampling, batches_are):
    """Chi-squared with one degree of freedom: above 10.8 once in 1000 seeds."""
    made = stream(
        sampling=sampling,
        batches=batches_are,
        batch_size=4,
        steps_per_epoch=4000,
        seed=1,
    )
    drawn = np.stack([batch["domain"] for batch in batches(made.train)])
    if batches_are == "separate":
        assert (drawn == drawn[:, :1]).all()
        drawn = drawn[:, 0]
    else:
        assert (drawn != drawn[:, :1]).any()
    observed = np.bincount(drawn.ravel(), minlength=2)
    expected = np.array(SHARES[sampling]) / sum(SHARES[sampling]) * drawn.size
    assert ((observed - expected) ** 2 / expected).sum() < 10.8
    np.testing.assert_allclose(list(made.shares.values()), expected / drawn.size)


@pytest.mark.parametrize("batches_are", ["separate", "mixed"])
def test_sets_take_turns(batches_are):
    made = stream(sampling="alternate", batches=batches_are, batch_size=4)
    drawn = np.stack([batch["domain"] for batch in batches(made.train.take(50))])
    turns = drawn[:, 0] if batches_are == "separate" else drawn.ravel()
    np.testing.assert_array_equal(turns, np.arange(len(turns)) % 2)


def test_temperature_goes_from_proportional_to_uniform():
    for temperature, expected in ((1.0, LARGE / (LARGE + SMALL)), (1e6, 0.5)):
        made = stream(sampling="temperature", temperature=temperature)
        assert made.shares["large"] == pytest.approx(expected, rel=1e-4)


def test_each_row_comes_once_before_any_comes_again():
    made = stream(60, 7, sampling="uniform", batch_size=5, steps_per_epoch=200)
    seen = {0: [], 1: []}
    train = made.train
    for batch in batches(train) + batches(train):  # rounds don't end with an epoch
        seen[int(batch["domain"][0])] += batch["u"].tolist()
    for number, size in enumerate((60, 7)):
        rows = seen[number]
        rounds = [rows[start : start + size] for start in range(0, len(rows), size)]
        assert len(rounds) > 5
        for one in rounds[:-1]:
            assert sorted(one) == list(range(size))
        assert rounds[0] != rounds[1]


def test_a_row_has_what_its_set_has_and_nothing_else():
    for batch in batches(stream(40, 30, batches="mixed", batch_size=8).train):
        of_small = batch["domain"] == 1
        np.testing.assert_array_equal(np.isnan(batch["v"]), of_small)
        np.testing.assert_array_equal(np.isnan(batch["w"]), ~of_small)
        np.testing.assert_array_equal(np.isnan(batch["y.click"]), of_small)
        np.testing.assert_array_equal(np.isnan(batch["y.buy"]), ~of_small)
        own = np.where(of_small, batch["y.buy"], batch["y.click"])
        np.testing.assert_array_equal(own, batch["u"] % 2)


def test_an_epoch_is_as_long_as_all_rows_together():
    made = stream(90, 20, batch_size=16, sampling="uniform")
    assert made.steps_per_epoch == 7
    assert int(made.train.cardinality()) == 7
    first, second = batches(made.train), batches(made.train)
    assert_same_batches(first, second)
    train = made.train
    assert [len(batches(train)), len(batches(train))] == [7, 7]
    assert all(batch["u"].shape == (16,) for batch in first)


@pytest.mark.parametrize("batches_are", ["separate", "mixed"])
@pytest.mark.parametrize("sampling", ["proportional", "alternate"])
def test_resumes_exactly_where_it_stopped(sampling, batches_are):
    options = {"sampling": sampling, "batches": batches_are, "batch_size": 8}
    train = stream(70, 9, **options).train
    whole = [one for _ in range(4) for one in batches(train)]
    for step in (0, 3, 10, 24):  # an epoch is 10 batches
        # Nothing is kept but the seed and the step, as for a new process.
        resumed = stream(70, 9, **options).from_step(step)
        train = resumed.train
        rest = [one for _ in range(4) for one in batches(train)]
        assert_same_batches(rest[: 40 - step], whole[step:])
        assert f"step={step}" in repr(resumed)


def test_another_seed_gives_another_order():
    first, second = (
        np.concatenate([one["u"] for one in batches(stream(50, 20, seed=seed).train)])
        for seed in (0, 1)
    )
    assert not np.array_equal(first, second)


def test_stopped_training_goes_on_as_if_it_had_not(tmp_path):
    """The optimizer's step is the stream's: nothing else needs to be kept."""
    made = stream(48, 16, batch_size=8)  # 8 batches an epoch

    def model():
        keras.utils.set_random_seed(0)
        return mtlzoo.build("shared_bottom", **made.spec, trunk=trunks.MLP((4,)))

    whole = model()
    whole.fit(made.train, epochs=2, verbose=0)
    stopped = model()
    stopped.fit(made.train.take(5), verbose=0)
    stopped.save(tmp_path / "stopped.keras")
    resumed = keras.saving.load_model(tmp_path / "stopped.keras")
    rest = made.from_step(int(resumed.optimizer.iterations))
    resumed.fit(rest.train.take(3), verbose=0)
    resumed.fit(made.from_step(8).train, verbose=0)
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_validation_and_test_hold_the_rows_of_all_sets_in_order():
    made = interleave(two_sets(validation=9, test=5), batch_size=4)
    for split, rows in (("validation", 9), ("test", 5)):
        found = batches(getattr(made, split))
        column = np.concatenate([batch["u"] for batch in found])
        np.testing.assert_array_equal(column, [*range(rows), *range(rows)])


class TestPlainPipelines:
    def plain(self, rows=20, **changes):
        random = np.random.default_rng(0)
        x = {"age": random.normal(40, 9, rows), "job": random.choice(["a", "b"], rows)}
        y = {"rich": random.integers(0, 2, rows)}
        return tf.data.Dataset.from_tensor_slices((x, {**y, **changes})).batch(6)

    def test_inputs_are_inferred_and_tasks_are_told(self):
        made = interleave(
            {"plain": self.plain(), "ours": numbered(30, tasks.Binary("click"))},
            tasks=[tasks.Binary("rich")],
            inputs={"age": features.Numeric(mean=40.0, variance=81.0)},
            batch_size=10,
        )
        assert made.sizes == {"plain": 20, "ours": 30}
        assert made.tasks_of("plain") == ["rich"]
        assert made.inputs["age"].mean == 40.0
        assert made.inputs["job"] == features.Categorical(["a", "b"])
        model = mtlzoo.build("shared_bottom", **made.spec)
        history = model.fit(made.train, epochs=2, verbose=0).history
        assert np.isfinite(history["loss"]).all()
        with pytest.raises(UnknownNameError, match="no data set 'other'"):
            made.tasks_of("other")

    def test_validation_is_that_of_the_other_sets(self):
        options = {"tasks": [tasks.Binary("rich")]}
        made = interleave(
            {"plain": self.plain(), "ours": numbered(3, tasks.Binary("click"))},
            **options,
        )
        (batch,) = batches(made.validation)
        np.testing.assert_array_equal(batch["domain"], [1, 1, 1])
        with pytest.raises(DataError, match="None of the data sets has test rows"):
            interleave({"plain": self.plain()}, **options).test  # noqa: B018

    def test_refusals(self):
        task = [tasks.Binary("rich")]
        with pytest.raises(TaskError, match="has labels 'rich', and no task is known"):
            interleave({"plain": self.plain()})
        with pytest.raises(DataError, match="has no end"):
            interleave({"plain": self.plain().repeat()}, tasks=task)
        with pytest.raises(DataError, match="'plain' is empty"):
            interleave({"plain": self.plain().take(0)}, tasks=task)
        weighted = self.plain().map(lambda x, y: (x, y, 1.0))
        with pytest.raises(DataError, match=r"must be a batch \(x, y\)"):
            interleave({"plain": weighted}, tasks=task)
        with pytest.raises(DataError, match=r"must be a mtlzoo\.datasets\.Dataset"):
            interleave({"plain": np.zeros(3)})


def test_a_set_may_have_no_labels():
    sets = {
        "source": numbered(30, tasks.Binary("click")),
        "target": numbered(20, tasks.Binary("click")),
    }
    options = {"sampling": "alternate", "batches": "mixed", "batch_size": 10}
    hidden = interleave(sets, unlabelled=["target"], **options)
    (x, y), *_ = hidden.train.as_numpy_iterator()
    np.testing.assert_array_equal(np.isnan(y["click"]), x["domain"] == 1)
    assert not any(np.isnan(y["click"]).any() for _, y in hidden.test)

    target = sets["target"].validation.map(lambda x, y: x)
    alone = interleave({**sets, "target": target}, **options)
    assert_same_batches(batches(alone.train), batches(hidden.train))

    with pytest.raises(UnknownNameError, match="no data set 'targets'"):
        interleave(sets, unlabelled=["targets"])
    with pytest.raises(TaskError, match="No data set has training labels of task 'cl"):
        interleave(sets, unlabelled=["source", "target"])


def test_labels_with_and_without_a_last_axis_join():
    one, other = numbered(6, tasks.Binary("click")), numbered(5, tasks.Binary("click"))
    x, y = other.arrays("train")
    column = (x, {"click": y["click"][:, None]})
    other = Dataset(
        "column",
        dict.fromkeys(["train", "validation", "test"], column),
        inputs=other.inputs,
        tasks=other.tasks,
    )
    made = interleave({"one": one, "other": other}, batch_size=11)
    assert len(made.tasks) == 1
    (batch,) = batches(made.validation)
    assert batch["y.click"].shape == (11,)


class TestRefusals:
    def test_options(self):
        with pytest.raises(UnknownNameError, match="Did you mean 'proportional'"):
            stream(sampling="proportion")
        with pytest.raises(UnknownNameError, match="no kind 'apart' of `batches`"):
            stream(batches="apart")
        with pytest.raises(DataError, match="is for sampling='temperature' alone"):
            stream(temperature=3.0)
        with pytest.raises(DataError, match="`temperature` must be a positive number"):
            stream(sampling="temperature", temperature=0.0)
        with pytest.raises(DataError, match="`batch_size` must be at least 1"):
            stream(batch_size=0)
        with pytest.raises(DataError, match="`steps_per_epoch` must be at least 1"):
            stream(steps_per_epoch=0)
        with pytest.raises(DataError, match="`seed` must be at least 0"):
            stream(seed=-1)
        with pytest.raises(DataError, match="`step` must be at least 0"):
            stream().from_step(-1)
        with pytest.raises(DataError, match="adds a column 'u', and the data sets"):
            stream(origin="u")
        with pytest.raises(DataError, match="must be a dict of data sets by name"):
            interleave([])

    def test_tasks_of_one_name_that_differ(self):
        sets = {
            "one": numbered(9, tasks.Binary("click")),
            "other": numbered(9, tasks.Multiclass("click", 2)),
        }
        with pytest.raises(TaskError, match="'one' and 'other' both have a task 'cli"):
            interleave(sets)
        chosen = interleave(sets, tasks=[tasks.Binary("click", loss_weight=2.0)])
        assert chosen.tasks == [tasks.Binary("click", loss_weight=2.0)]
        with pytest.raises(TaskError, match="no label 'clack' in the data sets"):
            interleave(two_sets(9, 9), tasks=[tasks.Binary("clack")])

    def test_inputs_of_one_name_that_differ(self):
        one = numbered(9, tasks.Binary("click"))
        x, y = one.arrays("train")
        other = Dataset(
            "other",
            dict.fromkeys(["train", "validation", "test"], (x, y)),
            inputs={"u": features.Numeric(mean=2.0)},
            tasks=one.tasks,
        )
        with pytest.raises(DataError, match="both have an input 'u' and read it diff"):
            interleave({"one": one, "other": other})
        chosen = interleave({"one": one, "other": other}, inputs={"u": ()})
        assert chosen.inputs == {"u": features.Numeric()}
        with pytest.raises(DataError, match="no input 'z' in the data sets"):
            interleave(two_sets(9, 9), inputs={"z": ()})

    def test_rows_of_different_shapes(self):
        def series(steps):
            x = {"s": np.zeros((4, steps, 2))}
            return Dataset(
                "series",
                dict.fromkeys(["train", "validation", "test"], (x, {"a": np.zeros(4)})),
                inputs={"s": (None, 2)},
                tasks=[tasks.Binary("a")],
            )

        made = interleave({"three": series(3), "five": series(5)})
        with pytest.raises(DataError, match=r"'s' have different shapes.*\(3, 2\), "):
            made.train  # noqa: B018


class TestJoint:
    def test_the_loss_is_that_of_the_source_plus_weight_times_that_of_the_target(self):
        sets = two_sets(40, 12)
        made = joint(sets["large"], sets["small"], weight=0.25, batch_size=16)
        model = mtlzoo.build("shared_bottom", **made.spec, trunk=trunks.MLP((4,)))
        model.optimizer.learning_rate = 0.0
        logs = model.fit(made.train.take(1), verbose=0).history
        total = logs["click_loss"][0] + 0.25 * logs["buy_loss"][0]
        assert logs["loss"][0] == pytest.approx(total, rel=1e-5)

    def test_half_of_each_batch_is_of_either_set(self):
        sets = two_sets(90, 4)
        for batch in batches(joint(sets["large"], sets["small"], batch_size=10).train):
            assert np.bincount(batch["domain"]).tolist() == [5, 5]

    def test_refuses_a_task_of_both(self):
        one = numbered(9, tasks.Binary("click"))
        with pytest.raises(TaskError, match="click: a task of both data sets"):
            joint(one, one)
