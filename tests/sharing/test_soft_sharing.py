import keras
import numpy as np
import pytest
import tensorflow as tf
from by_hand import NAMES, mlp, rows, tiny

from mtlzoo.errors import OptionError
from mtlzoo.sharing._trace_norm import nuclear_norm, tensor_trace_norm

X = rows()
TRUNK = {"trunk": mlp(4, 2)}


def kernels(model, task):
    return [
        model.get_layer(f"trunk.{task}.dense_{index}").get_weights()[0]
        for index in (1, 2)
    ]


def nuclear(matrix):
    return np.linalg.svd(matrix, compute_uv=False).sum()


def test_distance_by_hand_over_all_pairs():
    names = ["a", "ab", "abc"]
    model = tiny("soft_sharing", names, strength=0.3, **TRUNK)
    found = [kernels(model, task) for task in names]
    expected = 0.3 * sum(
        ((found[i][level] - found[j][level]) ** 2).sum()
        for level in (0, 1)
        for i, j in ((0, 1), (0, 2), (1, 2))
    )
    assert float(model.losses[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("unfolding", ["task", "tucker", "tensor_train"])
def test_trace_norm_by_hand(unfolding):
    model = tiny("trace_norm", strength=0.2, unfolding=unfolding, **TRUNK)
    expected = 0.0
    for pair in zip(*(kernels(model, task) for task in NAMES), strict=True):
        stacked = np.stack(pair, axis=-1)
        rows_, columns, count = stacked.shape
        by_task = nuclear(stacked.reshape(-1, count))
        by_row = nuclear(stacked.reshape(rows_, -1))
        by_column = nuclear(np.moveaxis(stacked, 1, 0).reshape(columns, -1))
        expected += {
            "task": by_task,
            "tucker": by_task + by_row + by_column,
            "tensor_train": by_row + by_task,
        }[unfolding]
    assert float(model.losses[0]) == pytest.approx(0.2 * expected, rel=1e-4)


def test_equal_networks_have_no_distance_and_the_least_trace_norm():
    tensor = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    same = np.stack([tensor, tensor], axis=-1)
    apart = np.stack([tensor, tensor[::-1]], axis=-1)
    assert float(tensor_trace_norm(same, "task")) < float(
        tensor_trace_norm(apart, "task")
    )
    model = tiny("soft_sharing", **TRUNK)
    for index in (1, 2):
        one, other = (model.get_layer(f"trunk.{task}.dense_{index}") for task in NAMES)
        other.set_weights(one.get_weights())
    assert float(model.losses[0]) == 0


def test_gradient_of_the_trace_norm_is_finite_where_singular_values_are_0():
    value = tf.ones((3, 2, 2))
    with tf.GradientTape() as tape:
        tape.watch(value)
        norm = tensor_trace_norm(value, "tucker")
    assert np.all(np.isfinite(tape.gradient(norm, value)))


def spread(rows, columns, least, seed=0):
    """Return a matrix whose singular values fall from 1 to `least`."""
    rng = np.random.default_rng(seed)
    left, right = (
        np.linalg.qr(rng.normal(size=(side, side)))[0] for side in (rows, columns)
    )
    count = min(rows, columns)
    values = np.geomspace(1.0, least, count)
    return (left[:, :count] * values) @ right[:count], left, right


def slope(matrix):
    value = tf.constant(matrix, "float32")
    with tf.GradientTape() as tape:
        tape.watch(value)
        norm = nuclear_norm(value)
    return float(norm), tape.gradient(norm, value).numpy()


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (3, 60), (60, 40), (2, 500)])
@pytest.mark.parametrize("least", [1.0, 1e-2, 1e-5])
def test_the_nuclear_norm_and_its_gradient_are_those_of_the_singular_values(
    shape, least
):
    matrix, left, right = spread(*shape, least)
    norm, gradient = slope(matrix)
    assert norm == pytest.approx(nuclear(matrix), rel=1e-6)
    count = min(shape)
    np.testing.assert_allclose(
        # A float32 matrix has the singular vectors of its smallest values to this.
        gradient,
        left[:, :count] @ right[:count],
        atol=1e-5 + 1e-7 / least,
    )


def test_the_nuclear_norm_of_what_has_no_full_rank():
    assert slope(np.zeros((3, 5))) == (0.0, pytest.approx(np.zeros((3, 5))))
    flat = np.outer([1.0, 2.0, 2.0], [3.0, 4.0])
    norm, gradient = slope(flat)
    assert norm == pytest.approx(15.0, rel=1e-6)
    # Of the subgradients, the one without a part in the other directions.
    np.testing.assert_allclose(gradient, flat / 15.0, atol=1e-6)
    assert np.isnan(slope(np.full((2, 3), np.nan))[0])


def test_training_pulls_the_networks_together():
    x = {"x": np.tile(X, (4, 1))}
    y = {task: np.ones(20) for task in NAMES}
    apart = {}
    for strength in (0.0, 10.0):
        keras.utils.set_random_seed(0)
        model = tiny("soft_sharing", strength=strength, **TRUNK)
        model.compile(keras.optimizers.SGD(0.01))
        model.fit(x, y, epochs=20, verbose=0)
        one, other = (kernels(model, task)[0] for task in NAMES)
        apart[strength] = np.abs(one - other).max()
    assert apart[10.0] < 0.2 * apart[0.0]


@pytest.mark.parametrize("name", ["soft_sharing", "trace_norm"])
def test_a_loaded_model_keeps_the_penalty(name, tmp_path):
    model = tiny(name, **TRUNK)
    y = {task: np.ones(5) for task in NAMES}
    model.train_on_batch({"x": X}, y)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert float(again.losses[0]) == pytest.approx(float(model.losses[0]), rel=1e-6)
    logs = again.evaluate({"x": X}, y, verbose=0, return_dict=True)
    parts = sum(logs[f"{task}_loss"] for task in NAMES)
    assert logs["loss"] == pytest.approx(parts + float(model.losses[0]), rel=1e-5)


def test_unknown_unfoldings_are_refused():
    with pytest.raises(OptionError, match="one of task, tucker, tensor_train"):
        tiny("trace_norm", unfolding="tt", **TRUNK)
