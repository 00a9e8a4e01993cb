import keras
import numpy as np
import pytest
from by_hand import (
    NAMES,
    dense,
    fill,
    gelu,
    layer,
    mlp,
    predict,
    represent,
    softmax,
    tiny,
)

import mtlzoo
from mtlzoo import tasks, trunks
from mtlzoo.errors import DataError, OptionError, TaskError
from mtlzoo.sharing._shared_attention import Attend, AttentionMap

X = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
TRUNK = {"inputs": {"x": (5, 4)}, "trunk": trunks.RNN((4,))}
SIZES = {"num_heads": 2, "feedforward": 3}


def heads_of(x):
    return x.reshape(2, 5, 2, 2).transpose(0, 2, 1, 3)


def test_attention_map_by_hand():
    one = AttentionMap(2)
    found = one(X).numpy()
    query, key = one.get_weights()
    q, k = heads_of(X @ query), heads_of(X @ key)
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(2)
    np.testing.assert_allclose(found, softmax(scores), atol=1e-5)


def test_attend_by_hand():
    attention = softmax(np.random.default_rng(1).normal(size=(2, 2, 5, 5)))
    one = Attend()
    found = one([X, attention.astype("float32")]).numpy()
    value, output = one.get_weights()
    read = (attention @ heads_of(X @ value)).transpose(0, 2, 1, 3).reshape(2, 5, 4)
    np.testing.assert_allclose(found, read @ output, atol=1e-5)


def normalise(x, model, name):
    gamma, beta = model.get_layer(f"sharing.{name}").get_weights()
    spread = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return gamma * (x - x.mean(-1, keepdims=True)) / spread + beta


def test_shared_attention_by_hand():
    options = {"inputs": {"x": (5, 4)}, "trunk": keras.layers.Identity(), **SIZES}
    model = fill(tiny("shared_attention", reference="ab", **options))
    normed = {t: normalise(X, model, f"block_1.norm.{t}") for t in NAMES}
    query, key = layer(model, "block_1.attention").get_weights()
    q, k = heads_of(normed["ab"] @ query), heads_of(normed["ab"] @ key)
    attention = softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(2))
    for task, found in represent(model, X).items():
        value, output = layer(model, f"block_1.attend.{task}").get_weights()
        read = (attention @ heads_of(normed[task] @ value)).transpose(0, 2, 1, 3)
        hidden = X + read.reshape(2, 5, 4) @ output
        inside = normalise(hidden, model, f"block_1.feedforward_norm.{task}")
        name = "sharing.block_1.feedforward_{}." + task
        inside = dense(model, name.format("in"), inside, gelu)
        inside = dense(model, name.format("out"), inside, lambda x: x)
        np.testing.assert_allclose(found, (hidden + inside).mean(1), atol=1e-4)


def test_masked_steps_are_not_looked_at():
    mask = np.array([[True] * 3 + [False] * 2] * 2)
    found = AttentionMap(2)(X, mask=mask).numpy()
    assert found[..., 3:].max() < 1e-6


@pytest.mark.parametrize("reference", NAMES)
def test_only_the_reference_decides_where_to_look(reference):
    options = {"reference": reference, "num_layers": 2, **SIZES}
    model = fill(tiny("shared_attention", **options, **TRUNK))
    (other,) = set(NAMES) - {reference}
    before = represent(model, X)
    for name in ("feedforward_in", "feedforward_out"):
        one = layer(model, f"block_1.{name}.{reference}")
        one.set_weights([weight + 1.0 for weight in one.get_weights()])
    after = represent(model, X)
    assert not np.allclose(before[other], after[other])
    middle = represent(model, X)
    one = layer(model, f"block_1.feedforward_in.{other}")
    one.set_weights([weight + 1.0 for weight in one.get_weights()])
    np.testing.assert_array_equal(middle[reference], represent(model, X)[reference])


def test_blocks_that_add_nothing_leave_the_trunk():
    model = tiny("shared_attention", **SIZES, **TRUNK)
    for task in NAMES:
        value, output = layer(model, f"block_1.attend.{task}").get_weights()
        layer(model, f"block_1.attend.{task}").set_weights([value, 0 * output])
        one = layer(model, f"block_1.feedforward_out.{task}")
        one.set_weights([0 * weight for weight in one.get_weights()])
    bottom = tiny("shared_bottom", **TRUNK)
    for one in bottom.layers:
        if one.weights:
            one.set_weights(model.get_layer(one.name).get_weights())
    for task in NAMES:
        np.testing.assert_allclose(
            predict(model, X)[task], predict(bottom, X)[task], atol=1e-6
        )


def test_padding_changes_nothing():
    model = tiny(
        "shared_attention",
        inputs={"x": mtlzoo.Tokens(9, dimension=4)},
        trunk=trunks.RNN((4,)),
        **SIZES,
    )
    short, padded = np.array([[3, 4, 5]]), np.array([[3, 4, 5, 0, 0]])
    for task in NAMES:
        np.testing.assert_allclose(
            predict(model, short)[task], predict(model, padded)[task], atol=1e-5
        )


def test_pixels_of_a_map_are_steps_too():
    model = tiny(
        "shared_attention",
        inputs={"x": (8, 8, 2)},
        tasks=[tasks.Dense("parts", 3), tasks.Binary("a")],
        trunk=trunks.CNN((4,)),
        **SIZES,
    )
    outputs = predict(model, np.zeros((2, 8, 8, 2), "float32"))
    assert outputs["parts"].shape == (2, 8, 8, 3)
    assert outputs["a"].shape == (2, 1)


def test_what_is_refused():
    with pytest.raises(DataError, match="needs a trunk that gives a sequence or a map"):
        tiny("shared_attention", trunk=mlp(4))
    with pytest.raises(
        OptionError, match=r"`num_heads` of .* must divide .* features, 4"
    ):
        tiny("shared_attention", num_heads=3, **TRUNK)
    with pytest.raises(TaskError, match=r"`reference` of .* must be one of a, ab"):
        tiny("shared_attention", reference="c", **TRUNK)
