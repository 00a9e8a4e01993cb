import numpy as np
import pytest
from by_hand import NAMES, bank, fill, gate, layer, mixture, represent, rows, tiny

X = rows()


def by_hand(model, levels, shared):
    modules = [*(f".{task}" for task in NAMES), *(["_shared"] if shared else [])]
    hidden = dict.fromkeys(modules, X)
    for level in range(1, levels + 1):
        place = f"level_{level}"
        own = {
            one: bank(model, f"{place}.experts{one}", hidden[one]) for one in modules
        }
        experts = np.concatenate(list(own.values()), axis=1)
        fused = {}
        for one in modules:
            if one == "_shared" and level == levels:
                continue
            residual = own[one][:, 0]
            if own[one].shape[1] > 1:
                (weight,) = layer(model, f"{place}.own{one}").get_weights()
                residual = mixture(np.repeat(weight, len(X), axis=0), own[one])
            gates = gate(model, f"{place}.gate{one}", hidden[one])
            fused[one] = mixture(gates, experts) + residual
        hidden = fused
    return {task: hidden[f".{task}"] for task in NAMES}


@pytest.mark.parametrize(("own", "shared"), [(1, 0), (2, 1), (1, 2)])
def test_adatt_by_hand(own, shared):
    options = {"num_task_experts": own, "num_shared_experts": shared}
    model = fill(tiny("adatt", num_levels=2, expert_units=(4,), **options))
    expected = by_hand(model, 2, shared)
    for task, found in represent(model, X).items():
        np.testing.assert_allclose(found, expected[task], atol=1e-5)


def test_weights_of_own_experts_start_between_the_papers_limits():
    model = tiny("adatt", num_task_experts=4, expert_units=(2,))
    (weight,) = layer(model, "level_1.own.a").get_weights()
    assert weight.shape == (1, 4)
    assert np.abs(weight).max() <= np.sqrt(1 / 4)
    assert len(np.unique(weight)) == 4


def test_one_task_with_one_expert_is_that_expert_twice():
    options = {"num_task_experts": 1, "num_shared_experts": 0, "num_levels": 1}
    model = fill(tiny("adatt", ["a"], expert_units=(4,), **options))
    np.testing.assert_allclose(
        represent(model, X)["a"],
        2 * bank(model, "level_1.experts.a", X)[:, 0],
        atol=1e-6,
    )
