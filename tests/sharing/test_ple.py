import numpy as np
import pytest
from by_hand import NAMES, bank, fill, gate, layer, mixture, represent, rows, tiny

X = rows()
SIZES = {"num_task_experts": 2, "num_shared_experts": 3, "expert_units": (4,)}


def test_cgc_by_hand():
    model = fill(tiny("cgc", **SIZES))
    shared = bank(model, "shared_experts", X)
    for task in NAMES:
        own = bank(model, f"experts.{task}", X)
        experts = np.concatenate([own, shared], axis=1)
        expected = mixture(gate(model, f"gate.{task}", X), experts)
        np.testing.assert_allclose(represent(model, X)[task], expected, atol=1e-5)


def test_cgc_task_is_blind_to_the_experts_of_others():
    model = fill(tiny("cgc", **SIZES))
    before = represent(model, X)
    for weight in layer(model, "experts.ab").weights:
        weight.assign(weight + 1.0)
    after = represent(model, X)
    np.testing.assert_array_equal(before["a"], after["a"])
    assert not np.allclose(before["ab"], after["ab"])


def test_cgc_without_own_experts_is_mmoe():
    cgc = fill(tiny("cgc", num_task_experts=0, num_shared_experts=3, expert_units=(4,)))
    mmoe = tiny("mmoe", num_experts=3, expert_units=(4,))
    layer(mmoe, "experts").set_weights(layer(cgc, "shared_experts").get_weights())
    for task in NAMES:
        layer(mmoe, f"gate.{task}").set_weights(
            layer(cgc, f"gate.{task}").get_weights()
        )
    for task in NAMES:
        np.testing.assert_allclose(
            represent(cgc, X)[task], represent(mmoe, X)[task], atol=1e-6
        )


def test_ple_by_hand():
    model = fill(tiny("ple", num_levels=3, **SIZES))
    hidden, shared = dict.fromkeys(NAMES, X), X
    for level in ("level_1", "level_2", "level_3"):
        common = bank(model, f"{level}.shared_experts", shared)
        own = {
            task: bank(model, f"{level}.experts.{task}", hidden[task]) for task in NAMES
        }
        fused = {
            task: mixture(
                gate(model, f"{level}.gate.{task}", hidden[task]),
                np.concatenate([own[task], common], axis=1),
            )
            for task in NAMES
        }
        if level != "level_3":
            shared = mixture(
                gate(model, f"{level}.shared_gate", shared),
                np.concatenate([*own.values(), common], axis=1),
            )
        hidden = fused
    for task in NAMES:
        np.testing.assert_allclose(represent(model, X)[task], hidden[task], atol=1e-5)


def test_ple_shared_gate_mixes_all_experts_and_the_last_level_has_none():
    model = tiny("ple", num_levels=2, **SIZES)
    assert layer(model, "level_1.shared_gate").kernel.shape == (1, 3, 2 + 2 + 3)
    with pytest.raises(ValueError, match="No such layer"):
        layer(model, "level_2.shared_gate")


def test_ple_of_one_level_is_cgc():
    ple, cgc = fill(tiny("ple", num_levels=1, **SIZES)), tiny("cgc", **SIZES)
    for one in cgc.layers:
        if one.name.startswith("sharing."):
            name = one.name.replace("sharing.", "sharing.level_1.")
            one.set_weights(ple.get_layer(name).get_weights())
    for task in NAMES:
        np.testing.assert_allclose(
            represent(ple, X)[task], represent(cgc, X)[task], atol=1e-6
        )
