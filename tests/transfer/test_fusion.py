"""Weights of several models made into one, to the last digit."""

import keras
import numpy as np
import pytest
from domains import domain, small_model

import mtlzoo
from mtlzoo import tasks
from mtlzoo.errors import ModelError
from mtlzoo.transfer import greedy_soup, soup, task_arithmetic
from mtlzoo.transfer._copies import copy_of


def moved(base, amount, layer=None):
    """Return a copy of `base` whose weights lie `amount` away."""
    copy = copy_of(base)
    for variable in copy.weights:
        if layer is None or layer in variable.path:
            variable.assign(variable + amount)
    return copy


@pytest.fixture
def base():
    return small_model(domain())


def assert_weights(model, expected):
    for found, want in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, want, atol=1e-6)


def test_a_copy_shares_nothing(base):
    copy = copy_of(base)
    assert_weights(copy, base.get_weights())
    assert type(copy.optimizer) is type(base.optimizer)
    copy.fit(domain().train, verbose=0)
    assert not np.array_equal(copy.get_weights()[0], base.get_weights()[0])


class TestSoup:
    def test_is_the_mean(self, base):
        made = soup([moved(base, 0.1), moved(base, 0.3), base])
        assert_weights(made, [one + 0.4 / 3 for one in base.get_weights()])
        made.fit(domain().train, verbose=0)

    def test_counters_are_not_averaged(self):
        inputs = keras.Input((4,), name="age")
        hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(3)(inputs))
        output = keras.layers.Dense(1, name="click", activation="sigmoid")(hidden)
        model = mtlzoo.MultiTaskModel.from_functional(
            keras.Model(inputs, {"click": output}), [tasks.Binary("click")]
        )
        soup([model, moved(model, 0.01)]).fit(domain().only(["click"]).train, verbose=0)

    def test_frozen_copies_may_be_among_them(self, base):
        frozen = moved(base, 0.2)
        frozen.get_layer("trunk.dense_1").trainable = False
        assert_weights(soup([base, frozen]), [one + 0.1 for one in base.get_weights()])

    def test_greedy_keeps_what_helps(self, base):
        """The score is how near a bias is to 0.2, so each step can be worked out."""
        copies = [moved(base, amount) for amount in (0.0, 0.5, 0.3, 0.15)]

        def score(model):
            return -abs(float(model.get_layer("trunk.dense_1").bias[0]) - 0.2)

        found = greedy_soup(copies, score)
        # From 0.15 on: with 0.3 it is 0.225, better; with 0.0 it is 0.15, worse; with
        # 0.5 it is 0.317, worse.
        assert found.kept == [3, 2]
        np.testing.assert_allclose(found.scores, [-0.2, -0.3, -0.1, -0.05], atol=1e-6)
        assert found.score == pytest.approx(-0.025, abs=1e-6)
        assert_weights(found.model, [one + 0.225 for one in base.get_weights()])


class TestTaskArithmetic:
    def test_adds_task_vectors(self, base):
        first = moved(base, 0.1, "heads.click")
        second = moved(base, 0.2, "trunk")
        made = task_arithmetic(base, [first, second], scale=[0.5, 2.0])
        for variable, one in zip(made.weights, base.get_weights(), strict=True):
            change = 0.05 if "heads.click" in variable.path else 0.0
            change += 0.4 if "trunk" in variable.path else 0.0
            np.testing.assert_allclose(variable, one + change, atol=1e-6)

    def test_one_copy_at_scale_one_is_that_copy(self, base):
        copy = moved(base, 0.1)
        assert_weights(task_arithmetic(base, [copy]), copy.get_weights())

    def test_takes_away_what_was_learned(self, base):
        made = task_arithmetic(base, [moved(base, 0.1)], scale=-1)
        assert_weights(made, [one - 0.1 for one in base.get_weights()])


@pytest.mark.parametrize(
    "fuse", [soup, lambda models: task_arithmetic(models[0], models[1:])]
)
class TestRefusals:
    def test_other_tasks(self, base, fuse):
        other = small_model(domain().only(["click"]))
        with pytest.raises(ModelError, match="must have the same tasks"):
            fuse([base, other])

    def test_other_layers(self, base, fuse):
        wider = small_model(domain(), trunk=mtlzoo.trunks.MLP((9, 4)))
        with pytest.raises(
            ModelError, match=r"'trunk.dense_1' of model 0 is Dense with"
        ):
            fuse([base, wider])
        with pytest.raises(ModelError, match="must have the same layers"):
            fuse([base, small_model(domain(), "mmoe")])

    def test_another_base(self, base, fuse):
        keras.utils.set_random_seed(1)
        other = small_model(domain())
        with pytest.raises(ModelError, match=r"have a cosine of -?0\.\d+ to those"):
            fuse([base, other])


def test_more_refusals(base):
    with pytest.raises(ModelError, match="At least one model is needed"):
        soup([])
    with pytest.raises(ModelError, match="At least one model is needed"):
        greedy_soup([], float)
    with pytest.raises(ModelError, match="one number, or one for each of 1 models"):
        task_arithmetic(base, [base], scale=[1.0, 2.0])
