import keras
import numpy as np
import pytest
from examples import INPUTS, raw_inputs, two_task_model

import mtlzoo
from mtlzoo import features, heads, sharing, tasks, trunks
from mtlzoo.errors import (
    DataError,
    MTLZooError,
    OptionError,
    TaskError,
    UnknownNameError,
)

ONE = {"x": (4,)}
CLICK = tasks.Binary("click")


def build(architecture="shared_bottom", **changes):
    return mtlzoo.build(architecture, **{"inputs": ONE, "tasks": [CLICK], **changes})


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"architecture": "shared_botom"}, UnknownNameError, "mean 'shared_bottom'"),
        ({"trunk": "resnt"}, UnknownNameError, "no trunk 'resnt'. Did you mean 'resn"),
        ({"trunk": 3}, DataError, "a keras.Model or a keras.Layer. Received: 3"),
        ({"balancing": "qual"}, UnknownNameError, "Did you mean 'equal'"),
        ({"width": 3}, OptionError, "no option 'width' of the architecture 'shared_b"),
        (
            {"architecture": sharing.SharedBottom(), "width": 3},
            OptionError,
            "has its options already. Received also: width",
        ),
        ({"tasks": []}, TaskError, "At least 1 task is needed"),
        ({"tasks": [CLICK, CLICK]}, TaskError, "Used more than once: click"),
        ({"tasks": ["click"]}, TaskError, "`tasks` must hold tasks"),
        ({"inputs": {}}, DataError, "must be a dict by input name"),
        ({"inputs": (4,)}, DataError, "must be a dict by input name"),
        ({"inputs": np.ones((4, 2))}, DataError, r"infer\(frame\).*Received: ndarray"),
        ({"inputs": {"x y": (4,)}}, DataError, "name of an input .* such as 'x_y'"),
        ({"inputs": {0: (4,)}}, DataError, "rename it, such as '_0'. Received: 0"),
        ({"inputs": {"x": (0,)}}, DataError, r"'x' must be a shape.*Received: \(0,\)"),
        ({"inputs": {"x": "photo"}}, DataError, "'x' must be a shape such as"),
        ({"inputs": {"click": (4,)}}, DataError, "both an input and a task"),
        (
            {"inputs": {"x": keras.Input((4,), name="other")}},
            DataError,
            "must carry that name",
        ),
        ({"trunk": "cnn"}, DataError, r"takes one image input. Received: x \(vector\)"),
        (
            {"trunk": "rnn", "inputs": {"s": (3, 2), "t": (3, 2)}},
            DataError,
            "trunk='multimodal'",
        ),
        (
            {"tasks": [tasks.SequenceTagging("tags", 3)]},
            TaskError,
            "reads sequence features, and this trunk gives pooled.*rnn or transformer",
        ),
        (
            {"tasks": [tasks.Dense("depth", channels=1)]},
            TaskError,
            "reads map features.*cnn or resnet",
        ),
        ({"head": {"sale": heads.Tower()}}, OptionError, "that the model doesn't have"),
        (
            {"trunk": trunks.Multimodal({"photo": "cnn"})},
            DataError,
            "names inputs that the model doesn't have: photo. Its inputs: x",
        ),
    ],
)
def test_refuses(changes, error, match):
    with pytest.raises(error, match=match) as caught:
        build(**changes)
    assert isinstance(caught.value, MTLZooError)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: trunks.CNN(pooling="max"), "`pooling` of the trunk 'cnn'"),
        (lambda: trunks.ResNet(18), r"must be 6n \+ 2.*depth=18"),
        (lambda: trunks.RNN(cell="rnn"), "must be 'lstm' or 'gru'"),
        (lambda: trunks.Transformer(width=10, num_heads=4), "multiple of `num_heads`"),
    ],
)
def test_trunks_refuse(make, match):
    with pytest.raises(OptionError, match=match):
        make()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("vector", "Tabular"),
        ("table", "Multimodal"),
        ("sequence", "RNN"),
        ("text", "RNN"),
        ("image", "CNN"),
        ("mixed", "Multimodal"),
    ],
)
def test_inputs_decide_the_trunk(kind, expected):
    sources = {
        name: trunks.Source(features.as_feature(name, value), None)
        for name, value in INPUTS[kind].items()
    }
    assert type(trunks.default(sources)).__name__ == expected


def test_keras_inputs_are_taken_as_they_are():
    tensor = keras.Input((8, 8, 3), dtype="uint8", name="photo")
    model = build(inputs={"photo": tensor})
    assert model.inputs[0] is tensor


def test_layers_are_named_by_their_part():
    model = two_task_model()
    parts = {layer.name.split(".")[0] for layer in model.layers}
    assert parts == {"a", "b", "trunk", "representation", "heads"}


def test_head_by_task():
    model = two_task_model(head={"buy": heads.Tower((3, 2), dropout=0.5)})
    names = [layer.name for layer in model.layers if "dense" in layer.name]
    assert "heads.buy.dense_2" in names
    assert "heads.click.dense_2" not in names


def test_regression_predictions_start_near_the_mean():
    model = build(tasks=[tasks.Regression("price", mean=1000.0, variance=4.0)])
    predictions = model.predict({"x": np.zeros((2, 4))}, verbose=0)["price"]
    np.testing.assert_allclose(predictions, 1000.0, atol=1e-3)


class TestCustomTrunk:
    def convolution(self):
        inputs = keras.Input((16, 16, 3))
        outputs = keras.layers.Conv2D(4, 3, strides=2)(inputs)
        return keras.Model(inputs, outputs, name="mine")

    def test_map_gives_pooled_and_map(self):
        trunk = self.convolution()
        model = build(
            inputs=INPUTS["image"],
            tasks=[CLICK, tasks.Dense("pixels", 2)],
            trunk=trunk,
        )
        assert trunk in model.layers
        predictions = model.predict(raw_inputs("image", 2), verbose=0)
        assert predictions["pixels"].shape == (2, 16, 16, 2)

    def test_columns_are_copies_with_the_same_weights(self):
        trunk = self.convolution()
        model = build(
            "single_task",
            inputs=INPUTS["image"],
            tasks=[CLICK, tasks.Binary("buy")],
            trunk=trunk,
        )
        copy = model.get_layer("trunk.buy")
        assert copy is not trunk
        for mine, theirs in zip(trunk.weights, copy.weights, strict=True):
            assert mine is not theirs
            np.testing.assert_array_equal(mine, theirs)

    def test_layer_and_dict_of_inputs(self):
        model = build(trunk=keras.layers.Dense(3))
        assert model.predict({"x": np.ones((2, 4))}, verbose=0)["click"].shape == (2, 1)
        inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((3,), name="b")}
        joined = keras.Model(inputs, keras.layers.Concatenate()(list(inputs.values())))
        two_task_model(trunk=joined)

    def test_dict_of_outputs(self):
        inputs = keras.Input((5, 2))
        states = keras.layers.GRU(3, return_sequences=True)(inputs)
        trunk = keras.Model(inputs, {"sequence": states, "pooled": states[:, -1]})
        model = build(
            inputs={"s": (5, 2)},
            tasks=[CLICK, tasks.SequenceTagging("tags", 3)],
            trunk=trunk,
        )
        assert model.predict({"s": np.ones((2, 5, 2))}, verbose=0)["tags"].shape == (
            2,
            5,
            3,
        )

    def test_refuses_other_outputs(self):
        inputs = keras.Input((4,))
        with pytest.raises(DataError, match="keys among pooled, sequence"):
            build(trunk=keras.Model(inputs, {"hidden": inputs * 2.0}))
        with pytest.raises(DataError, match="must have 2, 3 or 4 axes"):
            build(trunk=keras.layers.Reshape((2, 2, 1, 1)))


class TestMasks:
    def test_padding_changes_nothing(self):
        """Words after the last one are not read, whatever the trunk."""
        for trunk in (
            trunks.RNN((4,), cell="gru"),
            trunks.Transformer(1, width=8, num_heads=2),
        ):
            short = features.Text(["good", "film"], length=3, dimension=8)
            model = build(inputs={"text": short}, trunk=trunk)
            long = features.Text(["good", "film"], length=7, dimension=8)
            padded = build(inputs={"text": long}, trunk=trunk)
            padded.set_weights(model.get_weights())
            x = {"text": np.array(["good film", "film"])}
            np.testing.assert_allclose(
                model.predict(x, verbose=0)["click"],
                padded.predict(x, verbose=0)["click"],
                atol=1e-5,
            )


@pytest.mark.parametrize(
    "trunk", [trunks.Tabular((4,)), trunks.RNN((4,)), trunks.Transformer(1, width=8)]
)
def test_text_without_a_word_is_no_nan(trunk):
    text = features.Text(["good"], length=3, dimension=8)
    model = build(inputs={"text": text}, trunk=trunk)
    x = {"text": np.array(["", "good", "..."])}
    model.fit(x, {"click": [0, 1, 0]}, verbose=0)
    for variable in model.trainable_variables:
        assert np.isfinite(variable).all(), variable.path
    inputs = {"text": keras.ops.convert_to_tensor(["", "good"], dtype="string")}
    assert np.isfinite(model(inputs)["click"]).all()


def test_mean_over_steps_skips_masked_ones():
    layer = trunks._pooling.MaskedMean()
    steps = np.array([[[1.0], [3.0], [np.nan]], [[5.0], [7.0], [9.0]]], "float32")
    mask = np.array([[True, True, False], [False, False, False]])
    np.testing.assert_array_equal(layer(steps, mask=mask), [[2.0], [0.0]])
    np.testing.assert_array_equal(layer(steps[1:]), [[7.0]])


def test_resnet_depth_counts_layers():
    model = build(inputs=INPUTS["image"], trunk=trunks.ResNet(14, width=4))
    convolutions = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D) and "shortcut" not in layer.name
    ]
    assert len(convolutions) == 13  # and the last, dense, layer of the paper


def test_positions_are_sines_and_cosines():
    layer = trunks._transformer.SinusoidalPositions()
    found = np.array(layer(np.zeros((1, 5, 4), "float32")))[0]
    position = np.arange(5.0)
    for channel in range(4):
        angle = position / 10_000 ** (2 * (channel // 2) / 4)
        expected = np.sin(angle) if channel % 2 == 0 else np.cos(angle)
        np.testing.assert_allclose(found[:, channel], expected, atol=1e-5)
