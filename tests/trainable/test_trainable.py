"""The language that says what is trained, on models of Keras's own making."""

import keras
import numpy as np
import pytest

from mtlzoo import _trainable
from mtlzoo.errors import OptionError, UnknownNameError


def network():
    """Return a small convolutional network whose layers are named by block."""
    tensor = inputs = keras.Input((8, 8, 3))
    for block in (1, 2, 10):
        tensor = keras.layers.Conv2D(4, 3, name=f"block_{block}_conv", padding="same")(
            tensor
        )
        tensor = keras.layers.BatchNormalization(name=f"block_{block}_norm")(tensor)
    tensor = keras.layers.GlobalAveragePooling2D()(tensor)
    return keras.Model(inputs, keras.layers.Dense(2, name="top")(tensor))


def attention():
    inputs = keras.Input((5, 8))
    tensor = keras.layers.LayerNormalization(name="norm")(inputs)
    tensor = keras.layers.MultiHeadAttention(2, 4, name="attention")(tensor, tensor)
    return keras.Model(inputs, keras.layers.Dense(1, name="top")(tensor))


def trained(model):
    return {
        place.path
        for place in _trainable.places(model)
        if any(place.variable is one for one in model.trainable_variables)
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (False, set()),
        ("top", {"top/kernel", "top/bias"}),
        ("last:1", {"top/kernel", "top/bias"}),
        ("last:2", {"top/*", "block_10_norm/*"}),
        ("stage:block_10", {"block_10_*", "top/*"}),
        ("stage:block_1", {"*"}),
        ("batch_norm", {"*_norm/*"}),
        ("bias", {"*/bias"}),
        ("block_1_*/kernel", {"block_1_conv/kernel"}),
        (["bias", "last:1"], {"*/bias", "top/*"}),
    ],
)
def test_a_choice_trains_what_it_names_and_nothing_else(choice, expected):
    from fnmatch import fnmatchcase

    model = network()
    paths = [place.path for place in _trainable.places(model)]
    wanted = {one for one in paths if any(fnmatchcase(one, p) for p in expected)}
    _trainable.set_trainable(model, choice)
    assert trained(model) == wanted
    _trainable.set_trainable(model, True)
    assert trained(model) == set(paths)


def test_a_frozen_batch_normalization_is_frozen_as_a_layer():
    model = network()
    _trainable.set_trainable(model, ["bias", "block_2_norm/gamma"])
    flags = [model.get_layer(f"block_{one}_norm").trainable for one in (1, 2, 10)]
    assert flags == [False, True, False]


def test_a_batch_normalization_without_scale_and_shift_can_be_frozen():
    layer = keras.layers.BatchNormalization(scale=False, center=False, name="norm")
    model = keras.Sequential([keras.Input((3,)), layer])
    assert not layer.trainable_variables
    _trainable.set_trainable(model, False)
    assert not layer.trainable
    assert _trainable.state(model) == {"frozen": [0]}
    _trainable.set_trainable(model, "batch_norm")
    assert layer.trainable
    assert _trainable.state(model) == {}


def test_shifts_of_layer_normalizations_are_biases():
    model = attention()
    _trainable.set_trainable(model, "bias")
    assert "norm/beta" in trained(model)
    assert "attention/query/bias" in trained(model)
    assert "attention/query/kernel" not in trained(model)


def test_a_layer_frozen_by_keras_is_freed():
    model = network()
    model.trainable = False
    _trainable.set_trainable(model, "last:1")
    assert trained(model) == {"top/kernel", "top/bias"}


def test_models_inside_models_are_looked_into():
    inner = network()
    outer = keras.Sequential([keras.Input((8, 8, 3)), inner], name="outer")
    _trainable.set_trainable(outer, "*/top")
    assert trained(outer) == {f"{inner.name}/top/kernel", f"{inner.name}/top/bias"}


def test_what_is_never_trained_is_left_out():
    model = network()
    model.get_layer("top").never_trained = True
    assert not any(one.path.startswith("top") for one in _trainable.places(model))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("blok_2_conv", "Nothing matches 'blok_2_conv'. Did you mean 'block_2_conv'"),
        ("stage:blok_2", "There is no stage 'blok_2'. Did you mean 'block_2'"),
        ("stage:block_3", "Stages: block_1, block_2, block_10, top"),
        ("lora:2", "There is: block_1_conv/kernel, .* and 6 more"),
    ],
)
def test_what_names_nothing_is_refused_with_close_names(choice, message):
    with pytest.raises(UnknownNameError, match=message):
        _trainable.select(_trainable.places(network()), choice)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("last:0", "the last N layers that have weights, of 7 here. .* 'last:0'"),
        ("last:8", "Received: 'last:8'"),
        ("last:some", "Received: 'last:some'"),
        ("lora:0", "at least 1, as in 'lora:8'. Received: 'lora:0'"),
        ("lora", "Received: 'lora'"),
        (3, "must be True, False, .* Received: 3"),
        ([3], r"Received: \[3\]"),
    ],
)
def test_a_choice_that_is_none_is_refused(choice, message):
    with pytest.raises(OptionError, match=message):
        _trainable.set_trainable(network(), choice)


def test_nothing_to_train_is_said():
    with pytest.raises(UnknownNameError, match="there is no variable here"):
        _trainable.set_trainable(keras.Sequential([keras.Input((2,))]), "top")


class TestLowRankChanges:
    @pytest.mark.parametrize("make", [network, attention])
    def test_they_change_nothing_until_trained(self, make):
        model = make()
        x = np.ones((2, *model.input_shape[1:]), "float32")
        before = model(x)
        _trainable.set_trainable(model, "lora:2")
        np.testing.assert_array_equal(model(x), before)
        names = {one.name for one in model.trainable_variables}
        assert names == {"lora_kernel_a", "lora_kernel_b"}

    @pytest.mark.parametrize("make", [network, attention])
    def test_a_reloaded_model_predicts_the_same_and_can_learn_on(self, make, tmp_path):
        """Keras alone loads both factors as 0, whose gradients are 0 for ever."""
        model = make()
        _trainable.set_trainable(model, "lora:2")
        for variable in model.trainable_variables:
            variable.assign(variable + 0.1)
        again = type(model).from_config(model.get_config())
        _trainable.restore(again, _trainable.state(model))
        model.save_weights(tmp_path / "model.weights.h5")
        again.load_weights(tmp_path / "model.weights.h5")
        assert trained(again) == trained(model)
        x = np.ones((2, *model.input_shape[1:]), "float32")
        np.testing.assert_allclose(again(x), model(x), atol=1e-6)

        firsts = [one for one in again.trainable_variables if one.name.endswith("_a")]
        assert not any(np.any(one) for one in firsts)
        _trainable.renew_lora(_trainable.layers(again))
        assert all(np.any(one) for one in firsts)
        np.testing.assert_allclose(again(x), model(x), atol=1e-6)

    @pytest.mark.parametrize("make", [network, attention])
    def test_merged_they_are_gone(self, make):
        model = make()
        paths = [one.path for one in model.variables]
        _trainable.set_trainable(model, "lora:2")
        for variable in model.trainable_variables:
            variable.assign(variable + 0.1)
        x = np.ones((2, *model.input_shape[1:]), "float32")
        before = model(x)
        _trainable.merge_lora(_trainable.layers(model))
        np.testing.assert_allclose(model(x), before, atol=1e-6)
        assert [one.path for one in model.variables] == paths
        assert "lora" not in _trainable.state(model)
        # A second time, they start anew.
        _trainable.set_trainable(model, "lora:3")
        np.testing.assert_allclose(model(x), before, atol=1e-6)

    def test_they_are_refused_where_they_have_no_place(self):
        model = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization()])
        with pytest.raises(OptionError, match="'lora:2' changes dense layers"):
            _trainable.set_trainable(model, "lora:2")
        model = network()
        _trainable.set_trainable(model, "lora:2")
        with pytest.raises(OptionError, match="of rank 2 already"):
            _trainable.set_trainable(model, "lora:3")

    def test_layers_with_constraints_have_none(self):
        tensor = inputs = keras.Input((3,))
        tensor = keras.layers.Dense(2, kernel_constraint="non_neg", name="a")(tensor)
        model = keras.Model(inputs, keras.layers.Dense(2, name="b")(tensor))
        _trainable.set_trainable(model, "lora:2")
        assert trained(model) == {"b/lora_kernel_a", "b/lora_kernel_b"}

    def test_embeddings_that_keras_changed_are_merged_too(self):
        layer = keras.layers.Embedding(4, 3)
        layer.build()
        layer.enable_lora(2)
        layer.lora_embeddings_b.assign(np.ones((2, 3)))
        before = layer(np.arange(4))
        _trainable.merge_lora([layer])
        np.testing.assert_allclose(layer(np.arange(4)), before, atol=1e-6)
        assert not _trainable.has_lora(layer)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (  # MobileNetV2
            ["Conv1", "expanded_conv_depthwise", "block_1_expand", "block_13_expand"],
            ["Conv1", "expanded", "block_1", "block_13"],
        ),
        (  # ResNet50
            [
                "conv1_conv",
                "conv2_block1_1_conv",
                "conv2_block2_1_conv",
                "conv5_block1",
            ],
            ["conv1", "conv2", "conv5"],
        ),
        (  # EfficientNetB0
            ["stem_conv", "block1a_dwconv", "block2a_expand_conv", "block2b_se_reduce"],
            ["stem", "block1a", "block2a", "block2b"],
        ),
        (  # ours
            ["trunk/stem/conv", "trunk/stage_1/block_1/first/conv", "trunk/norm"],
            ["stem", "stage_1", "norm"],
        ),
    ],
)
def test_stages_are_read_off_the_names_that_networks_have(names, expected):
    layer = keras.layers.Dense(1)
    there = [_trainable.Place(f"{name}/kernel", object(), layer) for name in names]
    assert list(_trainable.stages(there)) == expected


def test_embeddings_are_one_stage_and_columns_count_together():
    embedding, dense = keras.layers.Embedding(2, 2), keras.layers.Dense(1)
    names = ["a/job/embedding", "a/city/embedding", "a/dense_1", "b/job/embedding"]
    there = [
        _trainable.Place(
            f"trunk/{name}/kernel", object(), dense if "dense" in name else embedding
        )
        for name in names
    ]
    found = _trainable.stages(there, apart=["a", "b"])
    assert {stage: len(places) for stage, places in found.items()} == {
        "embeddings": 3,
        "dense_1": 1,
    }


def test_what_is_frozen_inside_a_layer_is_restored():
    """Keras's config has no flag for a variable, or for a layer inside a layer."""
    model = attention()
    _trainable.set_trainable(model, ["attention/query", "top/bias"])
    again = keras.Model.from_config(model.get_config())
    _trainable.restore(again, _trainable.state(model))
    assert trained(again) == trained(model)
    assert trained(again) == {
        "attention/query/kernel",
        "attention/query/bias",
        "top/bias",
    }
