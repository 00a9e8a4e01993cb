import numpy as np
import pytest
from by_hand import NAMES, bank, fill, layer, represent, rows, sigmoid, tiny

from mtlzoo.sharing._routing import Connections

X = rows()
SIZES = {"num_experts": 3, "num_levels": 2, "expert_units": (4,)}


def open_(log_alpha):
    return np.clip(sigmoid(log_alpha) * 1.2 - 0.1, 0, 1)


def by_hand(model, transforms):
    hidden = bank(model, "level_1.experts", X)
    hidden = connect(model, "level_1.connections", hidden, transforms)
    hidden = bank(model, "level_2.experts", hidden)
    return {
        task: connect(model, f"level_2.connections.{task}", hidden, transforms)[:, 0]
        for task in NAMES
    }


def connect(model, name, inputs, transforms):
    log_alpha, *kernel = layer(model, name).get_weights()
    opened = open_(log_alpha)
    outputs = np.zeros((len(X), len(opened), 4))
    for out in range(len(opened)):
        for source in range(3):
            value = inputs[:, source]
            if transforms:
                value = value @ kernel[0][out * 3 + source]
            outputs[:, out] += opened[out, source] * value
    return outputs


@pytest.mark.parametrize(("name", "transforms"), [("snr_trans", 1), ("snr_aver", 0)])
def test_snr_by_hand(name, transforms):
    model = fill(tiny(name, **SIZES))
    expected = by_hand(model, transforms)
    for task, found in represent(model, X).items():
        np.testing.assert_allclose(found, expected[task], atol=1e-4)


def test_one_open_connection_is_that_sub_network():
    model = fill(tiny("snr_aver", num_experts=3, num_levels=1, expert_units=(4,)))
    experts = bank(model, "level_1.experts", X)
    for source in range(3):
        log_alpha = np.where(np.arange(3) == source, 50.0, -50.0)[None]
        layer(model, "level_1.connections.a").set_weights([log_alpha])
        np.testing.assert_allclose(
            represent(model, X)["a"], experts[:, source], atol=1e-6
        )


def test_with_matrices_that_change_nothing_snr_trans_is_snr_aver():
    model, plain = fill(tiny("snr_trans", **SIZES)), tiny("snr_aver", **SIZES)
    for one in plain.layers:
        weights = model.get_layer(one.name).get_weights()
        if "connections" in one.name:
            unit = np.broadcast_to(np.eye(4), weights[1].shape)
            model.get_layer(one.name).set_weights([weights[0], unit])
            weights = weights[:1]
        one.set_weights(weights)
    for task in NAMES:
        np.testing.assert_allclose(
            represent(model, X)[task], represent(plain, X)[task], atol=1e-6
        )


def test_penalty_is_the_expected_number_of_open_connections():
    layer_ = Connections(["e1", "e2"], sparsity=0.5)
    layer_.build((None, 2, 4))
    layer_.set_weights([np.array([[0.0, 2.0]])])
    layer_(np.ones((1, 2, 4)))
    shifted = np.array([0.0, 2.0]) - 2 / 3 * np.log(0.1 / 1.1)
    assert float(layer_.losses[0]) == pytest.approx(0.5 * sigmoid(shifted).sum(), 1e-5)


def test_draws_in_training_follow_the_hard_concrete_distribution():
    layer_ = Connections(["e1"], seed=0)
    layer_.build((None, 1, 1))
    layer_.set_weights([np.array([[0.4]])])
    draws = np.array([float(layer_.open(training=True)[0, 0]) for _ in range(2000)])
    expected = sigmoid(0.4 - 2 / 3 * np.log(0.1 / 1.1))
    assert np.mean(draws > 0) == pytest.approx(expected, abs=0.03)
    assert draws.min() == 0
    assert draws.max() == 1
    assert float(layer_.open()[0, 0]) == pytest.approx(open_(0.4), abs=1e-6)


def test_matrices_are_drawn_one_by_one():
    layer_ = Connections(["e1", "e2"], num_outputs=2, units=50)
    layer_.build((None, 2, 50))
    for kernel in layer_.get_weights()[1]:
        assert np.std(kernel) == pytest.approx(np.sqrt(2 / 100), rel=0.1)
