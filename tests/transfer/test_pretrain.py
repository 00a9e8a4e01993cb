"""Trunks that learn from inputs alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import INPUTS, TRUNKS, raw_inputs

import mtlzoo
from mtlzoo import features, heads, tasks, trunks
from mtlzoo.errors import DataError, OptionError
from mtlzoo.transfer import autoencoder, freeze, pretrain
from mtlzoo.transfer._autoencoder import as_task
from mtlzoo.transfer._pretrain import _corrupted

TOLD = {"table": ["age", "job", "code", "day"]}
"""Of inputs that hold a text, what can be told from one vector."""


def model_of(kind, trunk, architecture="shared_bottom"):
    return mtlzoo.build(
        architecture,
        inputs=INPUTS[kind],
        tasks=[tasks.Binary("click"), tasks.Binary("buy")],
        trunk=trunk,
        head=heads.Tower(()),
    )


def told(kind):
    return {key: INPUTS[kind][key] for key in TOLD.get(kind, INPUTS[kind])}


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("mlp", "mmoe"),
        ("tabular", "shared_bottom"),
        ("cnn", "shared_bottom"),
    ],
)
def test_trains_what_leads_to_the_representations_and_no_more(
    name, architecture, tmp_path
):
    kind, trunk = TRUNKS[name]
    model = model_of(kind, trunk(), architecture)
    x = raw_inputs(kind, 32)
    before = {one.path: one.numpy() for one in model.variables}
    made = pretrain(
        model,
        x,
        inputs=told(kind),
        corruption=0.2,
        epochs=12,
        batch_size=16,
        optimizer=keras.optimizers.Adam(0.01),
        units=8,
        verbose=0,
    )
    losses = made.history.history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    for variable in model.trainable_variables:
        moved = not np.array_equal(before[variable.path], variable.numpy())
        assert moved != variable.path.startswith("heads."), variable.path
    # What the model is asked is as it was, and the autoencoder can be kept.
    assert set(model.output) == {"click", "buy"}
    found = made.predict(x, verbose=0)
    assert set(found) == set(told(kind))
    made.save(tmp_path / "autoencoder.keras")
    again = keras.saving.load_model(tmp_path / "autoencoder.keras")
    for key, one in again.predict(x, verbose=0).items():
        np.testing.assert_allclose(one, found[key], rtol=1e-4, atol=1e-3)


class TestCorruption:
    def corrupted(self, x, corruption=0.3, seed=0, **made):
        data = tf.data.Dataset.from_tensors(x).repeat(2)
        return list(data.apply(_corrupted(made, corruption, seed)).as_numpy_iterator())

    def test_hides_the_asked_part_and_keeps_it_as_the_label(self):
        x = {
            "age": np.arange(1.0, 3001.0, dtype="float32"),
            "pair": np.ones((3000, 2), "float32"),
            "job": np.array(["nurse", "clerk", "other"] * 1000),
            "photo": np.full((3000, 2, 2, 1), 9, "uint8"),
        }
        made = {
            "age": features.Numeric(),
            "pair": features.Numeric((2,)),
            "job": features.Categorical(["clerk", "nurse"]),
            "photo": features.Image((2, 2, 1)),
        }
        (first, labels), (second, _) = self.corrupted(x, **made)
        hidden = {
            "age": np.isnan(first["age"]),
            "pair": np.isnan(first["pair"]),
            "job": first["job"] == b"",
            "photo": first["photo"] == 0,
        }
        for key, where in hidden.items():
            assert abs(where.mean() - 0.3) < 0.03, key
            expected = tf.constant(x[key]).numpy()[~where]
            np.testing.assert_array_equal(first[key][~where], expected)
        # Each entry and each input by itself, and anew in the next batch.
        assert (hidden["pair"][:, 0] != hidden["pair"][:, 1]).any()
        assert (hidden["age"] != hidden["job"]).any()
        assert (np.isnan(second["age"]) != hidden["age"]).any()

        np.testing.assert_array_equal(labels["age"], x["age"])
        np.testing.assert_array_equal(labels["job"][:3], [1, 0, -1])
        np.testing.assert_array_equal(labels["photo"], np.full((3000, 4), 9))

    def test_follows_from_the_seed(self):
        x = {"age": np.ones(50, "float32")}
        one, same, other = (
            self.corrupted(x, seed=seed, age=features.Numeric())[0][0]["age"]
            for seed in (0, 0, 1)
        )
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other, equal_nan=True)

    def test_none_is_a_plain_autoencoder(self):
        x = {"age": np.ones(50, "float32")}
        (found, _), _ = self.corrupted(x, corruption=0.0, age=features.Numeric())
        np.testing.assert_array_equal(found["age"], x["age"])


def test_each_input_is_a_task_of_its_kind():
    assert as_task("a", features.Numeric((2,), mean=[1.0, 2.0])) == tasks.Regression(
        "a", shape=(2,), mean=[1.0, 2.0], metrics=[]
    )
    assert as_task("a", features.Categorical(["x"])).class_names == ["x", "not x"]
    assert as_task("a", features.Categorical([3, 5])).class_names == ["3", "5"]
    day = as_task("a", features.Date(mean=5.0, variance=4.0))
    assert (day.mean, day.variance) == (5.0, 4.0)
    # The loss of a picture is on the scale that the trunk sees.
    photo = as_task("a", features.Image((2, 2, 3), scale=1 / 128, offset=-1.0))
    assert photo.shape == (12,)
    black = np.zeros((1, 12), "float32")
    loss = photo.row_losses(black, black + 128.0)
    assert float(np.mean(loss)) == pytest.approx(1.0)


def test_missing_numbers_are_no_labels_and_pipelines_may_have_labels():
    model = model_of("vector", trunks.MLP((4,)))
    x = raw_inputs("vector")
    x["a"][:, 0] = np.nan
    data = tf.data.Dataset.from_tensor_slices((x, {"click": np.zeros(16)})).batch(8)
    made = pretrain(model, data, inputs={"a": (4,)}, epochs=1, verbose=0)
    assert np.isfinite(made.history.history["loss"]).all()
    assert [task.name for task in made.tasks] == ["a"]


def test_pictures_of_any_size_are_told():
    for size in ((16, 16, 3), (13, 10, 1)):
        model = mtlzoo.build(
            "shared_bottom",
            inputs={"photo": size},
            tasks=[tasks.Binary("click")],
            trunk=trunks.CNN((4,)),
        )
        made = autoencoder(model, {"photo": size}, units=4)
        assert made.output["photo"].shape == (None, int(np.prod(size)))


class TestRefusals:
    def test_corruption(self):
        model = model_of("vector", trunks.MLP((4,)))
        for corruption in (-0.1, 1.0):
            with pytest.raises(OptionError, match="at least 0 and below 1"):
                pretrain(
                    model,
                    raw_inputs("vector"),
                    inputs=INPUTS["vector"],
                    corruption=corruption,
                )

    def test_a_frozen_trunk(self):
        model = model_of("vector", trunks.MLP((4,)))
        freeze(model)
        with pytest.raises(OptionError, match="it is frozen"):
            pretrain(model, raw_inputs("vector"), inputs=INPUTS["vector"])

    def test_inputs(self):
        model = model_of("table", trunks.Tabular((4,)))
        with pytest.raises(DataError, match="'review' is a Text, whose steps can't be"):
            autoencoder(model, INPUTS["table"])
        with pytest.raises(DataError, match=r"no input 'height' of "):
            autoencoder(model, {"height": ()})
        with pytest.raises(DataError, match="At least one input must be told"):
            autoencoder(model, {})

    def test_data(self):
        model = model_of("vector", trunks.MLP((4,)))
        with pytest.raises(DataError, match="must have at least one row"):
            pretrain(model, raw_inputs("vector", 0), inputs=INPUTS["vector"])
        with pytest.raises(DataError, match="Missing: b"):
            pretrain(model, {"a": np.zeros((3, 4))}, inputs=INPUTS["vector"])
