import numpy as np
import pytest
from by_hand import (
    NAMES,
    fill,
    layer,
    mlp,
    predict,
    relu,
    represent,
    sigmoid,
    tiny,
    weights,
)

from mtlzoo import tasks, trunks
from mtlzoo.errors import DataError

X = np.random.default_rng(0).normal(size=(3, 8, 8, 2)).astype("float32")
IMAGE = {"inputs": {"x": (8, 8, 2)}, "trunk": trunks.CNN((4, 6))}


def set_mask(model, stage, task, value):
    """Let a mask be sigmoid(value) everywhere."""
    name = f"mask_norm.stage_{stage}.{task}"
    gamma, _, mean, variance = layer(model, name).get_weights()
    layer(model, name).set_weights(
        [np.zeros_like(gamma), np.full_like(gamma, value), mean, variance]
    )


def convolve(maps, name, model):
    """Return a convolution that keeps height and width."""
    kernel, bias = model.get_layer(name).get_weights()
    side = len(kernel) // 2
    height, width = maps.shape[1:3]
    padded = np.pad(maps, [(0, 0), (side, side), (side, side), (0, 0)])
    return bias + sum(
        padded[:, row : row + height, column : column + width] @ kernel[row, column]
        for row in range(len(kernel))
        for column in range(len(kernel))
    )


def normalise(maps, model, name):
    gamma, beta, mean, variance = weights(model, name)
    return gamma * (maps - mean) / np.sqrt(variance + 1e-5) + beta


def halve(maps):
    rows, height, width, channels = maps.shape
    return maps.reshape(rows, height // 2, 2, width // 2, 2, channels).max((2, 4))


def test_mtan_by_hand():
    model = fill(tiny("mtan", **IMAGE))
    maps = [X]
    for stage in (1, 2):
        found = convolve(maps[-1], f"trunk.conv_{stage}", model)
        maps.append(halve(relu(found)))
    for task, found in represent(model, X).items():
        masked = None
        for stage in (1, 2):
            read = maps[stage]
            if masked is not None:
                refined = convolve(masked, "sharing.refine_2_conv", model)
                refined = halve(relu(normalise(refined, model, "refine_2_norm")))
                read = np.concatenate([read, refined], axis=-1)
            for part, act in (("hidden", relu), ("mask", sigmoid)):
                name = f"{part}_conv.stage_{stage}.{task}"
                read = convolve(read, f"sharing.{name}", model)
                name = f"{part}_norm.stage_{stage}.{task}"
                read = act(normalise(read, model, name))
            masked = read * maps[stage]
        np.testing.assert_allclose(found, masked.mean((1, 2)), atol=1e-4)


def test_with_open_masks_it_is_shared_bottom():
    model = fill(tiny("mtan", **IMAGE))
    for task in NAMES:
        for stage in (1, 2):
            set_mask(model, stage, task, 50.0)
    bottom = tiny("shared_bottom", **IMAGE)
    for one in bottom.layers:
        if one.weights:
            one.set_weights(model.get_layer(one.name).get_weights())
    for task in NAMES:
        np.testing.assert_allclose(
            predict(model, X)[task], predict(bottom, X)[task], atol=1e-6
        )


def test_a_mask_of_a_half_halves_the_last_map():
    model = fill(tiny("mtan", **IMAGE))
    set_mask(model, 2, "a", 50.0)
    whole = represent(model, X)
    set_mask(model, 2, "a", 0.0)
    halved = represent(model, X)
    np.testing.assert_allclose(halved["a"], whole["a"] / 2, atol=1e-6)
    np.testing.assert_array_equal(halved["ab"], whole["ab"])


def test_the_second_mask_reads_the_first():
    model = fill(tiny("mtan", **IMAGE))
    before = represent(model, X)
    set_mask(model, 1, "a", 50.0)
    assert not np.allclose(before["a"], represent(model, X)["a"])
    assert layer(model, "hidden_conv.stage_2.a").kernel.shape == (1, 1, 6 + 6, 6)


def test_what_refines_is_shared_and_masks_are_not():
    model = tiny("mtan", **IMAGE)
    names = [one.name for one in model.layers]
    assert names.count("sharing.refine_2_conv") == 1
    assert {f"sharing.mask.stage_1.{task}" for task in NAMES} <= set(names)


@pytest.mark.parametrize("side", [8, 15])
@pytest.mark.parametrize(
    "trunk", [trunks.CNN((4, 6)), trunks.ResNet(8, width=2)], ids=["cnn", "resnet"]
)
def test_dense_tasks_and_others_on_both_trunks(trunk, side):
    model = tiny(
        "mtan",
        inputs={"x": (side, side, 1)},
        tasks=[tasks.Dense("parts", 3), tasks.Binary("a")],
        trunk=trunk,
    )
    outputs = predict(model, np.zeros((2, side, side, 1), "float32"))
    assert outputs["parts"].shape == (2, side, side, 3)
    assert outputs["a"].shape == (2, 1)


def test_trunks_without_maps_are_refused():
    with pytest.raises(
        DataError, match=r"'mtan' needs a trunk of stages that give map"
    ):
        tiny("mtan", trunk=mlp(4))
