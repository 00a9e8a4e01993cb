"""Expert methods on sequences and maps, and on tasks that read different kinds."""

import keras
import numpy as np
import pytest
from by_hand import bank, fill, gate, layer, mixture, represent, tiny

import mtlzoo
from mtlzoo import tasks, trunks

EXPERTS = (
    "adatt",
    "cgc",
    "dselect_k",
    "ml_mmoe",
    "mmoe",
    "omoe",
    "ple",
    "snr_aver",
    "snr_trans",
)
SIZES = {"expert_units": (4,)}


@pytest.mark.parametrize("name", EXPERTS)
def test_tagging_and_pooled_tasks_go_through_the_same_experts(name):
    model = tiny(
        name,
        inputs={"text": mtlzoo.Tokens(9, length=6, dimension=3)},
        tasks=[tasks.SequenceTagging("word", 3), tasks.Binary("topic")],
        trunk=trunks.RNN((5,)),
        **SIZES,
    )
    x = np.array([[1, 2, 3, 4, 0, 0]])
    shapes = {key: value.shape for key, value in represent(model, x).items()}
    assert shapes == {"word": (1, 6, 4), "topic": (1, 4)}
    banks = [one.name for one in model.layers if "experts" in one.name]
    assert not any(".pooled." in one for one in banks)
    words = np.array([[0, 1, 2, 0, -1, -1]])
    model.train_on_batch({"text": x}, {"word": words, "topic": np.array([1])})


def test_features_of_different_widths_have_layers_of_their_own():
    model = tiny(
        "mmoe",
        inputs={"photo": (8, 8, 1)},
        tasks=[tasks.Dense("parts", 3), tasks.Binary("topic")],
        trunk=trunks.CNN((4,), units=(6,)),
        **SIZES,
    )
    assert layer(model, "experts").kernels[0].shape == (8, 4, 4)
    assert layer(model, "pooled.experts").kernels[0].shape == (8, 6, 4)


def test_experts_work_on_every_pixel():
    model = fill(
        tiny(
            "mmoe",
            inputs={"photo": (4, 4, 2)},
            tasks=[tasks.Dense("parts", 3), tasks.Dense("depth", channels=1)],
            trunk=keras.layers.Identity(),
            num_experts=2,
            **SIZES,
        )
    )
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype("float32")
    pixels = x.reshape(-1, 2)
    for task, found in represent(model, x).items():
        expected = mixture(
            gate(model, f"gate.{task}", pixels), bank(model, "experts", pixels)
        )
        np.testing.assert_allclose(found.reshape(-1, 4), expected, atol=1e-5)


@pytest.mark.parametrize("inputs", [{"x": (3,)}, {"x": (3,), "z": (2,)}])
def test_on_columns_experts_read_the_encoded_inputs(inputs):
    model = tiny("mmoe", inputs=inputs, **SIZES)
    width = sum(shape[0] for shape in inputs.values())
    assert layer(model, "experts").kernels[0].shape == (8, width, 4)
    assert not any("trunk.dense" in one.name for one in model.layers)


def test_a_trunk_that_is_named_comes_before_the_experts():
    model = tiny("mmoe", trunk="tabular", **SIZES)
    assert layer(model, "experts").kernels[0].shape == (8, 128, 4)


@pytest.mark.parametrize("name", EXPERTS)
def test_mixed_precision_keeps_gates_exact(name):
    keras.config.set_dtype_policy("mixed_float16")
    model = tiny(name, **SIZES)
    for one in model.layers:
        if "gate" in one.name:
            assert one.output.dtype == "float32"
        if "mixture" in one.name:
            assert one.compute_dtype == "float16"
    x = np.ones((2, 3), "float32")
    logs = model.train_on_batch({"x": x}, {"a": [1, 0], "ab": [0, 1]}, return_dict=True)
    assert np.isfinite(logs["loss"])
