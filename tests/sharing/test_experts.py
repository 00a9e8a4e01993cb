import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import mtlzoo
from mtlzoo.errors import OptionError
from mtlzoo.sharing._experts import ExpertBank, Gate, Mixture, mix
from mtlzoo.sharing._routing import Connections

X = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")


def dense_like(kernel, bias):
    dense = keras.layers.Dense(kernel.shape[-1], activation="relu")
    dense.build((None, kernel.shape[0]))
    dense.set_weights([kernel, bias])
    return dense


@pytest.mark.parametrize("units", [4, 16, 64])
def test_each_expert_is_drawn_as_its_own_dense_would_be(units):
    bank = ExpertBank(6, (units,))
    bank.build((None, 400))
    dense = keras.layers.Dense(units)
    dense.build((None, 400))
    expected = np.std(dense.get_weights()[0])
    for kernel in bank.get_weights()[0]:
        assert np.std(kernel) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    "initializer", ["glorot_uniform", keras.initializers.HeNormal(seed=7)]
)
def test_no_two_experts_start_equal(initializer):
    bank = ExpertBank(5, (4, 4), kernel_initializer=initializer)
    bank.build((None, 4))
    drawn = [kernel for kernels in bank.get_weights()[::2] for kernel in kernels]
    for index, kernel in enumerate(drawn[:5]):
        for other in drawn[index + 1 : 5]:
            assert not np.allclose(kernel, other)


def test_banks_with_neighbouring_seeds_have_no_expert_in_common():
    kernels = []
    for seed in (0, 1):
        bank = ExpertBank(
            3, (4,), kernel_initializer=keras.initializers.GlorotUniform(seed=seed)
        )
        bank.build((None, 4))
        kernels.append(bank.get_weights()[0])
    for one in kernels[0]:
        assert not any(np.allclose(one, other) for other in kernels[1])


def test_bank_computes_what_separate_dense_layers_would():
    bank = ExpertBank(3, (5, 2))
    outputs = bank(X).numpy()
    kernel_1, bias_1, kernel_2, bias_2 = bank.get_weights()
    for expert in range(3):
        hidden = dense_like(kernel_1[expert], bias_1[expert])(X)
        alone = dense_like(kernel_2[expert], bias_2[expert])(hidden)
        np.testing.assert_allclose(outputs[:, expert], alone, atol=1e-5)


def test_bank_with_own_inputs_gives_each_expert_its_own():
    inputs = np.stack([X, 2 * X, -X], axis=1)
    bank = ExpertBank(3, (5,), own_inputs=True)
    outputs = bank(inputs).numpy()
    kernel, bias = bank.get_weights()
    for expert in range(3):
        alone = dense_like(kernel[expert], bias[expert])(inputs[:, expert])
        np.testing.assert_allclose(outputs[:, expert], alone, atol=1e-5)


def test_bank_works_on_each_step_of_a_sequence_and_each_pixel_of_a_map():
    bank = ExpertBank(3, (5,))
    flat = bank(X).numpy()
    np.testing.assert_allclose(bank(X[None]).numpy()[0], flat, atol=1e-6)
    pixels = X.reshape(1, 2, 2, 6)
    np.testing.assert_allclose(bank(pixels).numpy().reshape(4, 3, 5), flat, atol=1e-6)
    assert bank.compute_output_shape((None, 7, 6)) == (None, 7, 3, 5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (ExpertBank(8, (16,)), (32, 16)),
        (ExpertBank(8, (16,)), (4, 8, 16)),
        (ExpertBank(8, (16,), own_inputs=True), (32, 8, 16)),
        (ExpertBank(8, (16,), own_inputs=True), (4, 8, 8, 16)),
        (Gate(["e"] * 8, num_gates=8), (32, 16)),
        (Connections(["e"] * 8, num_outputs=8, units=16), (32, 8, 16)),
    ],
)
def test_gradients_are_not_spread_out_over_the_batch(layer, shape):
    """One by one, the rows' gradients of the weights would take most of a step."""
    layer.build((None, *shape[1:]))

    @tf.function
    def gradient(inputs):
        with tf.GradientTape() as tape:
            outputs = layer(inputs)
        return tape.gradient(outputs, [one.value for one in layer.weights])

    graph = gradient.get_concrete_function(tf.TensorSpec(shape)).graph
    outputs = [one for made in graph.get_operations() for one in made.outputs]
    sizes = [one.shape.num_elements() for one in outputs if one.shape.rank is not None]
    weights = max(math.prod(one.shape) for one in layer.weights)
    assert max(filter(None, sizes)) <= max(32 * 8 * 16, weights)


def test_gate_is_a_softmax_of_a_linear_map():
    gate = Gate(["e1", "e2"])
    gate.build((None, 2))
    gate.set_weights([np.array([[[np.log(3.0), 0.0], [0.0, 0.0]]])])
    weights = gate(np.array([[1.0, 5.0], [0.0, 1.0]])).numpy()
    np.testing.assert_allclose(weights, [[0.75, 0.25], [0.5, 0.5]], atol=1e-6)


def test_several_gates_have_a_matrix_each():
    gate = Gate(["e1", "e2", "e3"], num_gates=2)
    weights = gate(X).numpy()
    assert weights.shape == (4, 2, 3)
    (kernel,) = gate.get_weights()
    alone = Gate(["e1", "e2", "e3"])
    alone.build((None, 6))
    alone.set_weights([kernel[1:]])
    np.testing.assert_allclose(weights[:, 1], alone(X), atol=1e-6)


def test_one_hot_gate_gives_that_expert_and_weights_of_one_the_sum():
    first, second = np.random.default_rng(1).normal(size=(2, 4, 2, 3))
    experts = np.concatenate([first, second], axis=1)
    for index in range(4):
        one_hot = np.tile(np.eye(4)[index], (4, 1))
        mixed = Mixture()([one_hot, first, second])
        np.testing.assert_array_equal(mixed, experts[:, index].astype("float32"))
    total = Mixture()([np.ones((4, 4)), first, second])
    np.testing.assert_allclose(total, experts.sum(axis=1), atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        ExpertBank(2, (4, 3), activation="gelu", own_inputs=True, name="bank"),
        Gate(["a 1", "a 2"], num_gates=3, name="gate"),
        Mixture(name="mixture"),
    ],
)
def test_config_round_trip(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mmoe", {"num_experts": 0}, "`num_experts` of the architecture 'mmoe' must"),
        ("ple", {"num_levels": 0}, "`num_levels` of the architecture 'ple' must be"),
        ("cgc", {"num_shared_experts": 0}, "must be at least 1. Received: num_shared"),
        ("omoe", {"expert_units": ()}, "`expert_units` of the architecture 'omoe'"),
        ("dselect_k", {"num_experts": 1}, "must be at least 2"),
        ("mmoe", {"num_experts": "3"}, "must be an integer. Received: num_experts='3'"),
        ("mmoe", {"num_experts": 3.0}, "must be an integer. Received: num_experts=3.0"),
        ("dselect_k", {"gamma": 0.0}, "`gamma` of the architecture 'dselect_k' must"),
        ("mmoe", {"experts": 3}, "no option 'experts' of the architecture 'mmoe'"),
    ],
)
def test_wrong_options_are_refused(name, options, message):
    with pytest.raises(OptionError, match=message):
        mtlzoo.build(
            name, inputs={"x": (3,)}, tasks=[mtlzoo.tasks.Binary("a")], **options
        )


@pytest.mark.parametrize("count", [1, 4, 5])
@pytest.mark.parametrize("rows", [(3,), (2, 3)], ids=str)
def test_sums_of_few_and_many_experts(count, rows):
    rng = np.random.default_rng(0)
    gate = rng.normal(size=(*rows, count)).astype("float32")
    experts = rng.normal(size=(*rows, count, 2)).astype("float32")
    expected = np.einsum("...e,...eu->...u", gate, experts)
    np.testing.assert_allclose(Mixture()([gate, experts]), expected, rtol=1e-4)
    weights = rng.normal(size=(2, count)).astype("float32")
    expected = np.einsum("oe,...eu->...ou", weights, experts)
    np.testing.assert_allclose(mix(experts, weights), expected, rtol=1e-4, atol=1e-6)
