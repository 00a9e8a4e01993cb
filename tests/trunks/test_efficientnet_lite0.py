"""EfficientNet-Lite0: the shape of the network, its names and how it starts."""

import keras
import numpy as np
import pytest

import mtlzoo
from mtlzoo import features, heads, tasks, trunks
from mtlzoo.errors import DataError, OptionError

TWO = [tasks.Binary("sharp"), tasks.Binary("bright")]


def model(size=64, architecture="shared_bottom", **options):
    options = {"tasks": TWO, "trunk": "efficientnet_lite0", **options}
    image = features.Image((size, size, 3))
    return mtlzoo.build(architecture, inputs={"image": image}, **options)


def test_has_the_weights_of_the_paper():
    """4.65 million with the 1000 classes of ImageNet; half of the rest is in `top`."""
    made = model(224, tasks=[tasks.Multiclass("label", 1000)], head=heads.Tower(()))
    trainable = sum(np.prod(one.shape) for one in made.trainable_variables)
    assert trainable == 4_652_008
    assert made.get_layer("trunk.top.relu").output.shape == (None, 7, 7, 1280)
    assert made.get_layer("trunk.average").output.shape == (None, 1280)


def test_stages_are_the_rows_of_the_table():
    layer = keras.Input((64, 64, 3), dtype="uint8", name="image")
    source = trunks.Source(features.Image((64, 64, 3)), layer)
    found = trunks.EfficientNetLite0().connect({"image": source})
    assert [tuple(one.shape[1:]) for one in found.stages] == [
        (32, 32, 32),
        (32, 32, 16),
        (16, 16, 24),
        (8, 8, 40),
        (4, 4, 80),
        (4, 4, 112),
        (2, 2, 192),
        (2, 2, 320),
        (2, 2, 1280),
    ]
    assert found.map.shape == (None, 2, 2, 1280)


def test_layers_are_named_by_block():
    names = [layer.name for layer in model().layers if layer.name.startswith("trunk.")]
    groups = list(dict.fromkeys(name.split(".")[1] for name in names))
    blocks = [f"block_{index}" for index in range(1, 8)]
    assert groups == ["rescale", "stem", *blocks, "top", "average"]
    assert "trunk.block_6.d.expand.conv" in names


def test_weights_start_as_in_the_reference():
    """Normal with a variance of 2 / fan-out; for a depthwise one that is one filter."""
    made = model()
    for name, fan_out in [
        ("trunk.block_6.b.expand.conv", 1152),
        ("trunk.block_6.b.depthwise.conv", 25),
        ("trunk.top.conv", 1280),
    ]:
        kernel = made.get_layer(name).get_weights()[0]
        assert kernel.std() == pytest.approx((2 / fan_out) ** 0.5, rel=0.02)
    same = [
        made.get_layer(f"trunk.block_6.{block}.expand.conv").get_weights()[0]
        for block in "bc"
    ]
    assert not np.array_equal(*same)


def test_scales_pixels_itself():
    """A pixel of 127 is 0; the scale of the feature has no effect."""
    made = model()
    rescale = keras.Model(made.input, made.get_layer("trunk.rescale").output)
    pixels = np.full((1, 64, 64, 3), 127, "uint8")
    assert np.abs(rescale.predict({"image": pixels}, verbose=0)).max() < 1e-6


def test_skips_blocks_in_training_alone():
    made = model()
    rates = [one.rate for one in made.layers if isinstance(one, keras.layers.Dropout)]
    assert rates == pytest.approx(
        [0.2 * depth / 16 for depth in (2, 4, 6, 7, 9, 10, 12, 13, 14)]
    )
    trunk = trunks.EfficientNetLite0(drop_connect=0.0)
    assert not any(
        isinstance(one, keras.layers.Dropout) for one in model(trunk=trunk).layers
    )


@pytest.mark.parametrize("architecture", ["mtan", "cross_stitch"])
def test_architectures_use_its_stages(architecture):
    made = model(32, architecture)
    names = [layer.name for layer in made.layers]
    assert any("sharing" in name and "9" in name for name in names)


def test_trains_in_half_precision_and_reloads(tmp_path):
    """What the contract tests ask of every trunk, in one model: tracing it is slow."""
    keras.config.set_dtype_policy("mixed_float16")
    made = model(32, tasks=[tasks.Binary("sharp"), tasks.Dense("pixels", 3)])
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), "uint8")
    labels = {"sharp": np.arange(8) % 2, "pixels": pixels[..., 0] % 3}
    history = made.fit({"image": pixels}, labels, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    made.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    expected = made({"image": pixels[:2]}, training=False)
    for name, found in again({"image": pixels[:2]}, training=False).items():
        assert keras.backend.standardize_dtype(found.dtype) == "float32"
        np.testing.assert_allclose(found, expected[name], atol=1e-6)


def test_options_round_trip():
    trunk = trunks.EfficientNetLite0(drop_connect=0.1)
    config = keras.saving.serialize_keras_object(trunk)
    assert keras.saving.deserialize_keras_object(config) == trunk


def test_refuses():
    with pytest.raises(OptionError, match=r"and below 1. Received: drop_connect=1"):
        trunks.EfficientNetLite0(drop_connect=1)
    with pytest.raises(DataError, match=r"takes one image input. Received: age \(vec"):
        mtlzoo.build(
            "shared_bottom",
            inputs={"age": ()},
            tasks=TWO,
            trunk="efficientnet_lite0",
        )
