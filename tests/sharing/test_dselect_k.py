import keras
import numpy as np
import pytest
from by_hand import NAMES, bank, layer, represent, rows, tiny

from mtlzoo.sharing._dselect_k import DSelectKGate, smooth_step

X = rows()


def gate(count, **options):
    made = DSelectKGate([f"e{index}" for index in range(count)], **options)
    made.build((None, 3))
    return made


@pytest.mark.parametrize(
    ("value", "expected"),
    [(-0.5, 0.0), (-2.0, 0.0), (0.0, 0.5), (0.25, 0.84375), (0.5, 1.0), (3.0, 1.0)],
)
def test_smooth_step(value, expected):
    found = smooth_step(keras.ops.convert_to_tensor([value]), 1.0)
    np.testing.assert_allclose(found, [expected], atol=1e-6)
    scaled = smooth_step(keras.ops.convert_to_tensor([value * 4]), 4.0)
    np.testing.assert_allclose(scaled, [expected], atol=1e-6)


def test_gate_by_hand():
    one = gate(4, k=2)
    bits = np.array([[0.25, -0.25], [-1.0, 0.0]])
    mixing = np.array([np.log(3.0), 0.0])
    one.set_weights([bits.ravel(), mixing])
    high, low = 0.84375, 0.15625
    # Bit 0 is the lowest: expert 1 has bits (1, 0).
    first = np.array([low * high, high * high, low * low, high * low])
    second = np.array([0.5, 0.0, 0.5, 0.0])
    found = one(X).numpy()
    np.testing.assert_allclose(found[0], 0.75 * first + 0.25 * second, atol=1e-6)
    assert found.shape == (5, 4)
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-6)


def test_gate_that_has_decided_is_exactly_sparse():
    one = gate(8, k=2)
    bits = np.array([[1.0, -1.0, 1.0], [-1.0, -1.0, -1.0]])
    one.set_weights([bits.ravel(), np.zeros(2)])
    np.testing.assert_array_equal(one(X)[0], [0.5, 0, 0, 0, 0, 0.5, 0, 0])


def test_gate_for_each_example_reads_its_input():
    one = gate(4, k=2, per_example=True)
    kernel, mixing = (np.random.default_rng(0).normal(size=(3, n)) for n in (4, 2))
    one.set_weights([kernel, mixing])
    alone = gate(4, k=2)
    for row in range(3):
        alone.set_weights([X[row] @ kernel, X[row] @ mixing])
        np.testing.assert_allclose(one(X)[row], alone(X)[0], atol=1e-5)


def test_gate_starts_nearly_undecided():
    bits, mixing = gate(4).get_weights()
    assert np.abs(bits).max() <= 0.01
    assert np.abs(mixing).max() <= 0.05


def test_penalty_is_the_entropy_of_all_selectors():
    one = gate(2, k=3, entropy=0.1)
    one.set_weights([np.zeros(3), np.zeros(3)])
    one(X)
    assert float(one.losses[0]) == pytest.approx(0.1 * 3 * np.log(2), rel=1e-4)


def test_penalty_keeps_selectors_from_codes_of_no_expert():
    one = gate(3, k=1, entropy=0.0)
    one.set_weights([np.zeros(2), np.zeros(1)])
    one(X)
    assert float(one.losses[0]) == pytest.approx(1 / 0.75 - 1, rel=1e-4)


def test_each_task_adds_its_own_penalty():
    model = tiny("dselect_k", num_experts=4)
    model({"x": X})
    assert len(model.losses) == len(NAMES)


def test_with_experts_that_are_no_power_of_two_the_gate_sums_to_one_once_trained():
    model = tiny("dselect_k", num_experts=5, expert_units=(4,), entropy=0.01)
    model.compile(keras.optimizers.Adam(0.1))
    y = {task: (X[:, 0] > 0).astype("float32") for task in NAMES}
    model.fit({"x": np.tile(X, (20, 1))}, {k: np.tile(v, 20) for k, v in y.items()},
              epochs=12, batch_size=10, verbose=0)  # fmt: skip
    for task in NAMES:
        weights = layer(model, f"gate.{task}")(X).numpy()
        np.testing.assert_allclose(weights.sum(axis=-1), 1.0, atol=1e-3)


def test_dselect_k_mixes_experts_by_its_gates():
    model = tiny("dselect_k", num_experts=4, k=1, expert_units=(2,))
    for task in NAMES:
        bits = np.array([1.0, 1.0]) if task == "a" else np.array([-1.0, 1.0])
        layer(model, f"gate.{task}").set_weights([bits, np.zeros(1)])
    experts = bank(model, "experts", X)
    found = represent(model, X)
    np.testing.assert_allclose(found["a"], experts[:, 3], atol=1e-6)
    np.testing.assert_allclose(found["ab"], experts[:, 2], atol=1e-6)
