import keras
import numpy as np
import pytest
from by_hand import NAMES, dense, fill, gelu, mlp, predict, relu, represent, rows, tiny

import mtlzoo
from mtlzoo import tasks, trunks
from mtlzoo.errors import DataError
from mtlzoo.sharing._adapters import Adapter
from mtlzoo.sharing._replay import layers_before, replay

X = rows()
OPTIONS = {"trunk": mlp(4, 6)}
METHODS = ("adapters", "film", "task_lora")


def trunk_alone(model, **options):
    """Return shared_bottom with the weights of `model`'s trunk and heads."""
    bottom = tiny("shared_bottom", [task.name for task in model.tasks], **options)
    for one in bottom.layers:
        if one.weights:
            one.set_weights(model.get_layer(one.name).get_weights())
    return bottom


def test_adapters_by_hand():
    model = fill(tiny("adapters", units=2, **OPTIONS))
    for task, found in represent(model, X).items():
        hidden = X
        for index in (1, 2):
            hidden = dense(model, f"trunk.dense_{index}", hidden)
            one = model.get_layer(f"sharing.adapter.dense_{index}.{task}")
            down, up, down_bias, up_bias = one.get_weights()
            hidden = hidden + gelu(hidden @ down + down_bias) @ up + up_bias
        np.testing.assert_allclose(found, hidden, atol=1e-4)


def test_film_by_hand():
    model = fill(tiny("film", **OPTIONS))
    for task, found in represent(model, X).items():
        hidden = X
        for index in (1, 2):
            one = model.get_layer(f"sharing.film.dense_{index}.{task}")
            gamma, beta = one.get_weights()
            hidden = gamma * dense(model, f"trunk.dense_{index}", hidden) + beta
        np.testing.assert_allclose(found, hidden, atol=1e-5)


def test_task_lora_by_hand():
    model = fill(tiny("task_lora", rank=2, alpha=6.0, **OPTIONS))
    for task, found in represent(model, X).items():
        hidden = X
        for index in (1, 2):
            kernel, bias = model.get_layer(f"trunk.dense_{index}").get_weights()
            one = model.get_layer(f"sharing.lora.dense_{index}.{task}")
            down, up = one.get_weights()
            hidden = relu(hidden @ (kernel + 3.0 * down @ up) + bias)
        np.testing.assert_allclose(found, hidden, atol=1e-4)


TRUNKS = {
    "mlp": ((WIDTH := 3,), mlp(4, 6)),
    "cnn": ((8, 8, 2), trunks.CNN((4, 6), units=(5,))),
    "resnet": ((8, 8, 2), trunks.ResNet(8, width=2)),
    "transformer": (
        (5, 4),
        trunks.Transformer(2, width=4, num_heads=2, feedforward=4, dropout=0.0),
    ),
}


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("name", METHODS)
def test_with_additions_of_nothing_it_is_the_trunk_alone(name, trunk):
    shape, recipe = TRUNKS[trunk]
    options = {"inputs": {"x": shape}, "trunk": recipe}
    zero = {"scale": 0.0} if name == "adapters" else {}
    model = tiny(name, **zero, **options)
    bottom = trunk_alone(model, **options)
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
    for task in NAMES:
        np.testing.assert_allclose(
            predict(model, x)[task], predict(bottom, x)[task], atol=1e-5
        )
    assert model.count_params() > bottom.count_params()


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("name", METHODS)
def test_additions_of_one_task_leave_the_other_alone(name, trunk):
    shape, recipe = TRUNKS[trunk]
    model = fill(tiny(name, inputs={"x": shape}, trunk=recipe))
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
    before = represent(model, x)
    for one in model.layers:
        if one.name.startswith("sharing.") and one.name.endswith(".a"):
            for weight in one.trainable_variables:
                weight.assign(weight + 0.5)
    after = represent(model, x)
    assert not np.allclose(before["a"], after["a"])
    np.testing.assert_array_equal(before["ab"], after["ab"])


@pytest.mark.parametrize("name", METHODS)
def test_a_frozen_trunk_stays_as_it_is(name):
    model = tiny(name, train_trunk=False, **OPTIONS)
    frozen = [model.get_layer(f"trunk.dense_{index}") for index in (1, 2)]
    before = [one.get_weights() for one in frozen]
    y = {task: (X[:, 0] > 0).astype("float32") for task in NAMES}
    model.fit({"x": X}, y, epochs=2, verbose=0)
    for one, kept in zip(frozen, before, strict=True):
        for found, expected in zip(one.get_weights(), kept, strict=True):
            np.testing.assert_array_equal(found, expected)
    assert all("trunk.dense" not in one.path for one in model.trainable_variables)


def test_adapters_follow_the_sub_layers_of_a_transformer():
    shape, recipe = TRUNKS["transformer"]
    model = tiny("adapters", inputs={"x": shape}, trunk=recipe)
    found = {one.name for one in model.layers if isinstance(one, Adapter)}
    assert found == {
        f"sharing.adapter.block_{block}.{part}_dropout.{task}"
        for block in (1, 2)
        for part in ("attention", "feedforward")
        for task in NAMES
    }


def test_an_adapter_starts_near_the_identity():
    one = Adapter(64)
    outputs = one(X)
    np.testing.assert_allclose(outputs, X, atol=1e-4)
    assert np.abs(one.get_weights()[0]).max() <= 2.3e-3


def test_low_rank_change_of_attention_is_that_of_its_matrices():
    shape, recipe = TRUNKS["transformer"]
    model = fill(tiny("task_lora", inputs={"x": shape}, trunk=recipe, rank=1))
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    bottom = trunk_alone(model, inputs={"x": shape}, trunk=recipe)
    for block in (1, 2):
        attention = bottom.get_layer(f"trunk.block_{block}.attention")
        found = dict(
            zip(
                (w.path for w in attention.weights),
                attention.get_weights(),
                strict=True,
            )
        )
        for part in ("query", "value"):
            one = model.get_layer(f"sharing.lora_{part}.block_{block}.attention.a")
            down, up = one.get_weights()
            for path in found:
                if path.endswith(f"{part}/kernel"):
                    change = np.einsum("ij,jhd->ihd", down @ up, found[path])
                    found[path] = found[path] + change
        attention.set_weights(list(found.values()))
        for layer_name in ("feedforward_in", "feedforward_out"):
            add_to(bottom, model, f"block_{block}.{layer_name}")
    add_to(bottom, model, "project")
    np.testing.assert_allclose(
        represent(model, x)["a"], represent(bottom, x)["a"], atol=1e-3
    )


def add_to(bottom, model, name):
    """Add the low-rank change of task `a` to a kernel of `bottom`."""
    down, up = model.get_layer(f"sharing.lora.{name}.a").get_weights()
    kernel, bias = bottom.get_layer(f"trunk.{name}").get_weights()
    bottom.get_layer(f"trunk.{name}").set_weights([kernel + down @ up, bias])


def test_masks_pass_through_a_trunk_that_is_applied_again():
    inputs = {"x": mtlzoo.Tokens(9, dimension=4)}
    _, recipe = TRUNKS["transformer"]
    model = tiny("film", inputs=inputs, trunk=recipe)
    short, padded = np.array([[3, 4, 5]]), np.array([[3, 4, 5, 0, 0]])
    for task in NAMES:
        np.testing.assert_allclose(
            predict(model, short)[task], predict(model, padded)[task], atol=1e-5
        )


def test_replay_applies_the_same_layers_again_only_where_something_changed():
    inputs = keras.Input((3,))
    layers = [keras.layers.Dense(3, name=name) for name in "abc"]
    tensor = inputs
    for one in layers:
        tensor = one(tensor)
    assert replay(tensor, lambda one, arguments, output: output) is tensor
    assert {one.name for one in layers_before(tensor)} == set("abc")

    def double(one, arguments, output):
        return output * 2.0 if one.name == "b" else output

    changed = keras.Model(inputs, replay(tensor, double))
    first, second, third = (one.get_weights()[0] for one in layers)
    np.testing.assert_allclose(changed(X), X @ first @ second * 2 @ third, atol=1e-5)
    assert len(layers[0]._inbound_nodes) == 1
    assert len(layers[2]._inbound_nodes) == 2


def test_trunks_that_offer_no_place_are_refused():
    with pytest.raises(DataError, match="TaskLoRA found nothing in the trunk RNN"):
        tiny(
            "task_lora",
            inputs={"x": (5, 4)},
            tasks=[tasks.Binary("a")],
            trunk=trunks.RNN((4,)),
        )
