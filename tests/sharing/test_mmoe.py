import numpy as np
import pytest
from by_hand import NAMES, bank, fill, gate, layer, mixture, mlp, represent, rows, tiny

X = rows()
SIZES = {"num_experts": 3, "expert_units": (4, 2)}


def test_mmoe_by_hand():
    model = fill(tiny("mmoe", **SIZES))
    found = represent(model, X)
    experts = bank(model, "experts", X)
    for task in NAMES:
        expected = mixture(gate(model, f"gate.{task}", X), experts)
        np.testing.assert_allclose(found[task], expected, atol=1e-5)
    assert not np.allclose(found["a"], found["ab"])


def test_omoe_by_hand_is_one_mixture_for_all():
    model = fill(tiny("omoe", **SIZES))
    found = represent(model, X)
    expected = mixture(gate(model, "gate", X), bank(model, "experts", X))
    for task in NAMES:
        np.testing.assert_allclose(found[task], expected, atol=1e-5)


def test_mmoe_with_equal_gates_is_omoe():
    several, one = fill(tiny("mmoe", **SIZES)), tiny("omoe", **SIZES)
    layer(one, "experts").set_weights(layer(several, "experts").get_weights())
    kernel = layer(one, "gate").get_weights()
    for task in NAMES:
        layer(several, f"gate.{task}").set_weights(kernel)
    for task in NAMES:
        np.testing.assert_allclose(
            represent(several, X)[task], represent(one, X)[task], atol=1e-6
        )


def test_mmoe_with_one_expert_is_shared_bottom():
    moe = tiny("mmoe", num_experts=1, expert_units=(4,))
    bottom = tiny("shared_bottom", trunk=mlp(4))
    kernel, bias = layer(moe, "experts").get_weights()
    bottom.get_layer("trunk.dense_1").set_weights([kernel[0], bias[0]])
    np.testing.assert_allclose(
        represent(moe, X)["a"], represent(bottom, X)["a"], atol=1e-6
    )


@pytest.mark.parametrize("expert", [0, 2])
def test_a_gate_that_has_decided_gives_that_expert(expert):
    model = fill(tiny("mmoe", **SIZES))
    x = np.abs(X)
    kernel = np.zeros((1, 3, 3))
    kernel[0, :, expert] = 1e4
    layer(model, "gate.a").set_weights([kernel])
    np.testing.assert_allclose(
        represent(model, x)["a"], bank(model, "experts", x)[:, expert], atol=1e-6
    )


def test_ml_mmoe_by_hand_gates_read_the_features_on_every_level():
    model = fill(tiny("ml_mmoe", num_experts=3, num_levels=3, expert_units=(2,)))
    hidden = X
    for level in (1, 2):
        experts = bank(model, f"level_{level}.experts", hidden)
        gates = [gate(model, f"level_{level}.gates", X, index) for index in range(3)]
        hidden = np.stack([mixture(one, experts) for one in gates], axis=1)
    experts = bank(model, "level_3.experts", hidden)
    for task in NAMES:
        expected = mixture(gate(model, f"level_3.gate.{task}", X), experts)
        np.testing.assert_allclose(represent(model, X)[task], expected, atol=1e-5)


def test_ml_mmoe_of_one_level_is_mmoe():
    levels = fill(tiny("ml_mmoe", num_levels=1, **SIZES))
    plain = tiny("mmoe", **SIZES)
    plain.set_weights(levels.get_weights())
    for task in NAMES:
        np.testing.assert_allclose(
            represent(levels, X)[task], represent(plain, X)[task], atol=1e-6
        )
