"""Losses between the features of two domains: their values, gradients and training."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from domains import domain, small_model, stream

import mtlzoo
from mtlzoo import balancing, tasks
from mtlzoo.errors import DataError, OptionError
from mtlzoo.sharing._shared_private import reverse_gradient
from mtlzoo.transfer import CORAL, DANN, MMD, adapt

METHODS = {"MMD": MMD, "CORAL": CORAL, "DANN": DANN}


def rows(count, seed=0, width=3):
    return np.random.default_rng(seed).normal(size=(count, width)).astype("float32")


def distance(method, source, target):
    features = np.concatenate([source, target])
    number = np.repeat([0.0, 1.0], [len(source), len(target)]).astype("float32")
    if not method.built:
        method.build([(None, 1), features.shape, (None,)])
    return float(method.distance(tf.constant(features), tf.constant(number), False))


class TestMMD:
    def test_value(self):
        """The definition, pair by pair."""
        source, target = rows(5), rows(3, seed=1) + 1
        everything = np.concatenate([source, target])
        squares = ((everything[:, None] - everything[None]) ** 2).sum(-1)
        spread = squares.sum() / (8 * 7)

        def mean_kernel(one, other):
            square = ((one[:, None] - other[None]) ** 2).sum(-1)
            return np.mean([np.exp(-square / (m * spread)) for m in (0.5, 2.0)])

        expected = (
            mean_kernel(source, source)
            + mean_kernel(target, target)
            - 2 * mean_kernel(source, target)
        )
        found = distance(MMD(bandwidths=(0.5, 2.0)), source, target)
        assert found == pytest.approx(expected, rel=1e-4)

    def test_is_zero_for_the_same_rows_and_grows_with_the_shift(self):
        one = rows(30)
        assert distance(MMD(), one, one) == pytest.approx(0.0, abs=1e-6)
        found = [distance(MMD(), one, rows(30, seed=1) + shift) for shift in (0, 1, 3)]
        assert 0 < found[0] < found[1] < found[2] < 2


class TestCORAL:
    def test_value(self):
        source, target = rows(6), 2 * rows(4, seed=1)
        apart = np.cov(source.T) - np.cov(target.T)
        expected = (apart**2).sum() / (4 * 3**2)
        assert distance(CORAL(), source, target) == pytest.approx(expected, rel=1e-4)

    def test_sees_no_shift(self):
        assert distance(CORAL(), rows(9), rows(9) + 5) == pytest.approx(0.0, abs=1e-6)


class TestDANN:
    def test_the_gradient_comes_back_reversed_and_scaled(self):
        tensor = tf.constant([[1.0, -2.0]])
        for strength in (1.0, 0.25):
            with tf.GradientTape() as tape:
                tape.watch(tensor)
                passed = reverse_gradient(tensor, strength)
                loss = tf.reduce_sum(passed**2)
            np.testing.assert_array_equal(passed, tensor)
            np.testing.assert_allclose(
                tape.gradient(loss, tensor), -strength * 2 * tensor
            )

    def test_strength_follows_the_schedule_of_the_paper(self):
        method = DANN(steps=10)
        method.build([(None, 1), (None, 3), (None,)])
        for step in range(13):
            progress = min(step / 10, 1.0)
            expected = 2 / (1 + math.exp(-10 * progress)) - 1
            assert float(method.strength) == pytest.approx(expected, abs=1e-6)
            method.distance(tf.constant(rows(4)), tf.constant([0.0, 0, 1, 1]), True)
        method.distance(tf.constant(rows(4)), tf.constant([0.0, 0, 1, 1]), False)
        assert float(method.step) == 13  # evaluation doesn't count
        assert float(DANN().strength) == 1.0

    def test_features_that_grow_escape_nothing(self):
        method = DANN()
        one = distance(method, rows(4), rows(5, seed=1))
        grown = distance(method, 100 * rows(4), 100 * rows(5, seed=1))
        assert grown == pytest.approx(one, rel=1e-4)

    def test_its_loss_is_what_an_adversary_of_chance_has(self):
        assert distance(DANN(), 0 * rows(4), 0 * rows(4)) == pytest.approx(math.log(2))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("source", "target"), [(1, 1), (1, 7), (8, 0), (0, 8), (1, 0)])
def test_few_rows_of_a_domain_give_no_nan(name, source, target):
    method = METHODS[name]()
    method.build([(None, 1), (None, 3), (None,)])
    features = tf.constant(rows(source + target))
    number = tf.constant([0.0] * source + [1.0] * target)
    with tf.GradientTape() as tape:
        tape.watch(features)
        found = method.distance(features, number, False)
    gradient = tape.gradient(found, features)
    assert np.isfinite(found)
    assert gradient is None or np.isfinite(gradient).all()
    if name == "CORAL":
        assert found == 0
    if name == "MMD" and not (source and target):
        assert found == 0


@pytest.mark.parametrize("name", METHODS)
def test_equal_rows_give_no_nan(name):
    """Dead features: every distance is 0."""
    method = METHODS[name]()
    method.build([(None, 1), (None, 3), (None,)])
    features = tf.zeros((6, 3))
    with tf.GradientTape() as tape:
        tape.watch(features)
        found = method.distance(features, tf.constant([0.0, 0, 0, 1, 1, 1]), False)
    gradient = tape.gradient(found, features)
    assert np.isfinite(found)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("name", "weight"), [("MMD", 30.0), ("CORAL", 1e4)])
def test_training_brings_the_domains_together(name, weight):
    made = stream(shift=1.0)
    model = small_model(made)

    def apart():
        parts = [domain(), domain(shift=1.0, seed=1)]
        features = [
            model.representations(part.arrays("test")[0], verbose=0)["click"]
            for part in parts
        ]
        return distance(METHODS[name](), *features)

    adapted = adapt(model, METHODS[name](weight=weight))
    adapted.compile(keras.optimizers.Adam(0.03), run_eagerly=True)
    before = apart()
    history = adapted.fit(made.train, epochs=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert apart() < before / 2


def test_the_model_learns_and_stays_a_model_of_its_own(tmp_path):
    model = small_model(stream())
    adapted = adapt(model, DANN(steps=12))
    history = adapted.fit(stream().train, epochs=2, verbose=0).history
    assert [tensor.name for tensor in model.inputs] == ["age"]
    x, _ = domain().arrays("test")
    expected = model.predict(x, verbose=0)["click"]
    found = adapted.predict({**x, "domain": np.zeros(48, "int32")}, verbose=0)["click"]
    np.testing.assert_array_equal(found, expected)
    # The one that trains can be saved, and goes on.
    adapted.save(tmp_path / "adapted.keras")
    again = keras.saving.load_model(tmp_path / "adapted.keras")
    (loss,) = again.fit(stream().train, verbose=0).history["loss"]
    assert loss == pytest.approx(history["loss"][-1], rel=0.2)
    assert float(again.get_layer("adapt.0").step) == 18


@pytest.mark.parametrize(
    ("architecture", "method"),
    [
        ("shared_bottom", balancing.PCGrad(gradients="parameters")),
        ("single_task", "uncertainty"),
        ("mmoe", balancing.PCGrad(gradients="representation")),
    ],
)
def test_other_architectures_and_balancing(architecture, method):
    made = stream()
    model = small_model(made, architecture, balancing=method)
    adapted = adapt(model, DANN(steps=6))
    parts = [layer for layer in adapted.layers if layer.name.startswith("adapt.")]
    assert len(parts) == (1 if architecture == "shared_bottom" else 2)
    assert type(adapted.balancing) is type(model.balancing)
    assert adapted.balancing is not model.balancing
    before = model.get_weights()
    history = adapted.fit(made.train, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    moved = [
        not np.array_equal(old, new)
        for old, new in zip(before, model.get_weights(), strict=True)
    ]
    assert sum(moved) > len(moved) / 2
    assert float(parts[0].step) == made.steps_per_epoch


def test_named_layers_are_compared():
    model = small_model(stream())
    adapted = adapt(model, MMD(), layers=["trunk.dense_1", "trunk.dense_2"])
    assert len([one for one in adapted.layers if one.name.startswith("adapt.")]) == 2
    again = MMD.from_config(adapted.get_layer("adapt.0").get_config())
    assert again.bandwidths == MMD().bandwidths


def test_maps_are_averaged_over_their_pixels():
    model = mtlzoo.build(
        "shared_bottom",
        inputs={"photo": (8, 8, 1)},
        tasks=[tasks.Dense("pixels", 3), tasks.Binary("click")],
        trunk=mtlzoo.trunks.CNN((4,)),
    )
    adapted = adapt(model, MMD(), layers=["trunk.conv_1"])
    assert adapted.get_layer("trunk.conv_1.mean").output.shape == (None, 4)


class TestRefusals:
    def test_options(self):
        with pytest.raises(OptionError, match="`weight` must be at least 0"):
            MMD(weight=-1.0)
        with pytest.raises(OptionError, match="`bandwidths` must be one or more posit"):
            MMD(bandwidths=())
        with pytest.raises(OptionError, match="`steps` must be at least 1"):
            DANN(steps=0)

    def test_layers(self):
        model = small_model(stream())
        with pytest.raises(OptionError, match=r"no layer 'trunk.dense_9' of "):
            adapt(model, MMD(), layers=["trunk.dense_9"])

    def test_an_input_called_as_the_domain(self):
        model = mtlzoo.build(
            "shared_bottom",
            inputs={"domain": ()},
            tasks=[tasks.Binary("click")],
        )
        with pytest.raises(DataError, match="has an input 'domain' of its own"):
            adapt(model, MMD())

    def test_data_without_the_domain(self):
        adapted = adapt(small_model(stream()), MMD())
        with pytest.raises(DataError, match="Missing: domain"):
            adapted.fit(domain().train, verbose=0)

    def test_domains_with_other_inputs(self):
        adapted = adapt(small_model(stream()), MMD())
        without = stream().train.map(lambda x, y: ({"domain": x["domain"]}, y))
        with pytest.raises(DataError, match="Missing: age"):
            adapted.fit(without, verbose=0)
