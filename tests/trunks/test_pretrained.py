"""Bases as trunks: every source gives its weights, stages, and clear refusals."""

from pathlib import Path

import fresh
import keras
import numpy as np
import pytest

import mtlzoo
from mtlzoo import features, heads, tasks, trunks
from mtlzoo.errors import (
    DataError,
    DownloadError,
    OptionError,
    UnknownNameError,
    WeightsError,
)

PHOTO = {"photo": features.Image((32, 32, 3))}
TWO = [tasks.Binary("sharp"), tasks.Binary("bright")]
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), "uint8")
MOBILENET = "keras.applications/MobileNetV2"
SMALL = {"weights": None, "arguments": {"alpha": 0.35}}


def build(trunk, architecture="shared_bottom", **changes):
    options = {"inputs": PHOTO, "tasks": TWO, "trunk": trunk, "head": heads.Tower(())}
    return mtlzoo.build(architecture, **{**options, **changes})


def pooled(model, x=PIXELS, task="sharp"):
    return model.representations({"photo": x}, verbose=0)[task]


def classifier():
    """Return a Keras model by another hand: pixels in, ten classes out."""
    image = keras.Input((32, 32, 3), name="image")
    tensor = keras.layers.Rescaling(1 / 255, name="scale")(image)
    tensor = keras.layers.Conv2D(4, 3, padding="same", name="conv1_a")(tensor)
    tensor = keras.layers.BatchNormalization(name="conv1_bn")(tensor)
    side = keras.layers.Conv2D(4, 1, name="conv2_a")(tensor)
    tensor = keras.ops.relu(tensor + side)
    tensor = keras.layers.GlobalAveragePooling2D(name="pool")(tensor)
    return keras.Model(image, keras.layers.Dense(10, name="top")(tensor))


def taught(trunk=None, **changes):
    """Return a multi-task model that has seen something."""
    model = build(trunk or trunks.CNN((4, 6)), **changes)
    labels = {task.name: np.arange(4) % 2 for task in model.tasks}
    model.fit({"photo": PIXELS}, labels, epochs=2, verbose=0)
    return model


# Where a base comes from.


def test_a_multi_task_model_gives_its_trunk(tmp_path):
    """Living or saved; other heads, other inputs' names, the same features."""
    model = taught()
    model.save(tmp_path / "model.keras")
    for base in (model, tmp_path / "model.keras", str(tmp_path / "model.keras")):
        made = build(trunks.Pretrained(base), inputs=PHOTO, tasks=[tasks.Count("n")])
        np.testing.assert_allclose(pooled(made, task="n"), pooled(model), atol=1e-6)
        names = [one.name for one in made.layers if one.name.startswith("trunk.")]
        assert "trunk.conv_2" in names
        assert "trunk.photo.rescale" in names


def test_the_living_model_stays_as_it_is():
    model = taught()
    before = model.get_weights()
    made = build(trunks.Pretrained(model, "last:1"))
    labels = {"sharp": np.ones(4), "bright": np.ones(4)}
    made.fit({"photo": PIXELS}, labels, epochs=2, verbose=0)
    assert all(one.trainable for one in model.layers)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_trunk_of_one_task_alone():
    """`single_task` names the only trunk by its task; the new one isn't."""
    model = taught(architecture="single_task", tasks=TWO[:1])
    made = build(trunks.Pretrained(model))
    np.testing.assert_allclose(pooled(made), pooled(model), atol=1e-6)
    assert made.get_layer("trunk.conv_1")


def test_a_table_is_matched_by_the_names_of_its_inputs():
    columns = {"age": features.Numeric(mean=40.0), "job": features.Categorical(["a"])}
    model = build(trunks.Tabular((4,)), inputs=columns)
    again = build(trunks.Pretrained(model), inputs=dict(reversed(columns.items())))
    x = {"age": np.array([30.0, 50.0]), "job": np.array(["a", "b"])}
    expected = model.representations(x, verbose=0)["sharp"]
    found = again.representations(x, verbose=0)["sharp"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(DataError, match=r"takes age \(number\), job \(text\). Rec"):
        build(trunks.Pretrained(model), inputs={"age": columns["age"]})


def test_a_keras_model_of_other_hands(tmp_path):
    """Its last layers may be left out; operations that are no layers are copied."""
    model = classifier()
    model.save(tmp_path / "other.keras")
    expected = keras.Model(model.input, model.get_layer("pool").output)
    made = build(trunks.Pretrained(tmp_path / "other.keras", output="pool"))
    found = pooled(made)
    np.testing.assert_allclose(found, expected.predict(PIXELS, verbose=0), atol=1e-5)
    whole = build(trunks.Pretrained(model))
    np.testing.assert_allclose(
        pooled(whole), model.predict(PIXELS, verbose=0), atol=1e-5
    )


def test_a_sequence_of_layers_that_was_never_called(tmp_path):
    """Nor does a convolution that comes first refuse raw pixels."""
    model = keras.Sequential(
        [
            keras.Input(PIXELS.shape[1:]),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.GlobalAveragePooling2D(name="pool"),
        ],
        name="row",
    )
    model.save(tmp_path / "row.keras")
    found = []
    for base in (model, tmp_path / "row.keras"):
        made = build(trunks.Pretrained(base, "last:1"))
        assert made.get_layer("trunk.conv").trainable
        found.append(pooled(made))
    for one in found:
        np.testing.assert_allclose(one, model.predict(PIXELS, verbose=0), atol=1e-4)


def test_a_model_without_a_graph_is_one_layer(tmp_path):
    dense = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    made = build(trunks.Pretrained(dense))
    labels = {"sharp": np.ones(4), "bright": np.ones(4)}
    made.fit({"photo": PIXELS}, labels, verbose=0)
    made.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(pooled(again), pooled(made), atol=1e-5)


@pytest.mark.parametrize("known", ["by its input", "by build"])
def test_a_sequential_model_that_was_never_called(known):
    """It has a graph as soon as it knows its input, and then it has stages."""
    layers = [
        keras.layers.Conv2D(4, 3, name="conv_1"),
        keras.layers.Conv2D(6, 3, name="conv_2"),
    ]
    if known == "by its input":
        base = keras.Sequential([keras.Input((32, 32, 3)), *layers])
    else:
        base = keras.Sequential(layers)
        base.build((None, 32, 32, 3))
    made = build(trunks.Pretrained(base, "stage:conv_2"), "cross_stitch")
    stitches = [one.name for one in made.layers if "sharing.stitch" in one.name]
    assert len(stitches) == 2 * 2
    copied = made.get_layer("trunk.sharp.conv_1").get_weights()[0]
    np.testing.assert_array_equal(copied, base.get_weights()[0])


def test_every_application_is_scaled_as_keras_says():
    """Pixels from 0 to 255 in, whatever the network was trained on."""
    for name, module in [("ResNet50", "resnet"), ("MobileNetV2", "mobilenet_v2")]:
        trunk = trunks.Pretrained(f"keras.applications/{name}", weights=None)
        made = build(trunk)
        layer = made.get_layer("trunk.preprocessing")
        preprocess = getattr(keras.applications, module).preprocess_input
        expected = preprocess(PIXELS.astype("float32"))
        np.testing.assert_allclose(layer(PIXELS), expected, atol=1e-5)


def test_an_application_loads_weights_of_its_own_format(tmp_path):
    network = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, include_top=False, weights=None
    )
    network.save_weights(tmp_path / "own.weights.h5")
    trunk = trunks.Pretrained(
        MOBILENET, weights=tmp_path / "own.weights.h5", arguments={"alpha": 0.35}
    )
    scaled = keras.applications.mobilenet_v2.preprocess_input(PIXELS.astype("float32"))
    expected = network.predict(scaled, verbose=0).mean((1, 2))
    np.testing.assert_allclose(pooled(build(trunk)), expected, atol=1e-4)


def test_a_trunk_loads_weights_from_a_file(tmp_path):
    source = trunks.Source(PHOTO["photo"], keras.Input((32, 32, 3), name="photo"))
    network = keras.Model(
        source.tensor, trunks.CNN((4, 6)).connect({"photo": source}).pooled
    )
    network.save_weights(tmp_path / "cnn.weights.h5")
    trunk = trunks.Pretrained(
        trunks.CNN((4, 6)), weights=str(tmp_path / "cnn.weights.h5")
    )
    expected = network.predict(PIXELS, verbose=0)
    np.testing.assert_allclose(pooled(build(trunk)), expected, atol=1e-5)


# What a base becomes.


def test_stages_are_those_of_the_network():
    made = build(trunks.Pretrained(MOBILENET, **SMALL), "cross_stitch")
    stitches = [one.name for one in made.layers if "sharing.stitch" in one.name]
    assert len(stitches) == 2 * 19  # Conv1, the expanded one, block_1 to 16, Conv_1
    columns = [
        made.get_layer(f"trunk.{task}.block_3_expand").get_weights()[0]
        for task in ("sharp", "bright")
    ]
    assert not np.array_equal(*columns)  # structure alone: each starts for itself


def test_several_trunks_are_copies():
    model = taught()
    made = build(trunks.Pretrained(model, "last:1"), "cross_stitch")
    for task in ("sharp", "bright"):
        for layer in ("conv_1", "conv_2"):
            copied = made.get_layer(f"trunk.{task}.{layer}")
            original = model.get_layer(f"trunk.{layer}")
            np.testing.assert_array_equal(
                copied.get_weights()[0], original.get_weights()[0]
            )
            assert copied.trainable == (layer == "conv_2")


@pytest.mark.parametrize(
    ("choice", "trained"),
    [
        (False, set()),
        (True, {"conv_1", "conv_2"}),
        ("stage:conv_2", {"conv_2"}),
        ("conv_1/*", {"conv_1"}),
        (["*/bias"], {"conv_1", "conv_2"}),
    ],
)
def test_trains_what_is_chosen_and_moves_nothing_else(choice, trained):
    model = taught()
    made = build(trunks.Pretrained(model, choice))
    labels = {"sharp": np.array([0, 1, 1, 0]), "bright": np.array([1, 1, 0, 0])}
    made.fit({"photo": PIXELS}, labels, epochs=2, verbose=0)
    for name in ("conv_1", "conv_2"):
        old = model.get_layer(f"trunk.{name}").get_weights()
        new = made.get_layer(f"trunk.{name}").get_weights()
        moved = [not np.array_equal(*pair) for pair in zip(old, new, strict=True)]
        kernel = name in trained and choice != ["*/bias"]
        assert moved == [kernel, name in trained]


def test_low_rank_changes_are_made_and_trained(tmp_path):
    made = build(trunks.Pretrained(taught(), "lora:2"))
    layer = made.get_layer("trunk.conv_2")
    assert layer.lora_enabled
    before = layer.get_weights()
    labels = {"sharp": np.array([0, 1, 1, 0]), "bright": np.array([1, 1, 0, 0])}
    made.fit({"photo": PIXELS}, labels, epochs=3, verbose=0)
    names = {one.path.rsplit("/", 1)[1] for one in made.trainable_variables}
    assert {"lora_kernel_a", "lora_kernel_b"} <= names
    assert not np.array_equal(before[-1], layer.get_weights()[-1])


def test_structure_alone_keeps_the_preprocessing():
    columns = {"age": features.Numeric(mean=40.0, variance=4.0)}
    model = build(trunks.Tabular((4,)), inputs=columns)
    made = build(trunks.Pretrained(model, weights=None), inputs=columns)
    names = [one.name for one in made.layers]
    assert names == [one.name for one in model.layers]
    x = {"age": np.array([40.0])}
    for one, other in zip(model.layers, made.layers, strict=True):
        if "normalize" in one.name:
            np.testing.assert_array_equal(one(x["age"]), other(x["age"]))
    kernels = [one.get_layer("trunk.dense_1").get_weights()[0] for one in (model, made)]
    assert not np.array_equal(*kernels)


def test_pictures_are_resized_and_coloured():
    model = taught()
    grey = {"photo": features.Image((28, 28, 1))}
    made = build(trunks.Pretrained(model, image_size=32), inputs=grey)
    x = PIXELS[:, :28, :28, :1]
    larger = keras.ops.image.resize(np.repeat(x, 3, -1).astype("float32"), (32, 32))
    # The other model takes whole numbers: what is resized before it is rounded down.
    np.testing.assert_allclose(pooled(made, x), pooled(model, larger), atol=5e-3)


def test_half_precision_reaches_every_layer():
    model = taught()
    keras.config.set_dtype_policy("mixed_float16")
    made = build(trunks.Pretrained(model, False))
    assert made.get_layer("trunk.conv_2").compute_dtype == "float16"
    np.testing.assert_allclose(pooled(made), pooled(model), rtol=0.02, atol=0.02)


def test_reads_a_picture_beside_other_inputs():
    trunk = trunks.Multimodal({"photo": trunks.Pretrained(taught(), False)})
    made = build(trunk, inputs={**PHOTO, "age": ()})
    x = {"photo": PIXELS, "age": np.zeros(4)}
    assert made.predict(x, verbose=0)["sharp"].shape == (4, 1)


RELOAD = """
import mtlzoo, keras, numpy as np
model = keras.saving.load_model(folder / "model.keras")
stored = np.load(folder / "stored.npz")
found = model.predict({"photo": stored["x"]}, verbose=0)["sharp"]
np.testing.assert_allclose(found, stored["y"], atol=1e-5)
assert not model.get_layer("trunk.conv_1").trainable
"""


def test_loads_in_a_fresh_process_without_the_base(tmp_path):
    taught().save(tmp_path / "base.keras")
    made = build(trunks.Pretrained(tmp_path / "base.keras", "last:1"))
    made.save(tmp_path / "model.keras")
    y = made.predict({"photo": PIXELS}, verbose=0)["sharp"]
    np.savez(tmp_path / "stored.npz", x=PIXELS, y=y)
    (tmp_path / "base.keras").unlink()
    fresh.run(RELOAD, folder=tmp_path)


# What is refused.


@pytest.mark.parametrize(
    ("base", "error", "match"),
    [
        (3, DataError, "must be a name, the path of a file.*Received: 3"),
        ("./nothing.keras", WeightsError, "There is no base at 'nothing.keras'"),
        (Path("a.weights.h5"), WeightsError, "holds weights alone. Name the network"),
    ],
)
def test_refuses_what_is_no_base(base, error, match):
    with pytest.raises(error, match=match):
        trunks.Pretrained(base)


@pytest.mark.parametrize(
    ("base", "options", "error", "match"),
    [
        ("cnnn", {}, UnknownNameError, "There is no base 'cnnn'. Did you mean 'cnn'"),
        (
            "keras.applications/MobileNetV4",
            {},
            UnknownNameError,
            "no model 'MobileNetV4' of keras.applications. Did you mean 'MobileNetV",
        ),
        (
            MOBILENET,
            {"arguments": {"alfa": 1.0}},
            OptionError,
            "no argument 'alfa' of the base.*Did you mean 'alpha'",
        ),
        (
            MOBILENET,
            {"arguments": {"alpha": 0.1}, "weights": "imagenet"},
            OptionError,
            "MobileNetV2.*alpha",
        ),
        ("cnn", {}, OptionError, "The trunk 'cnn' comes without weights. Pass the"),
        (
            "cnn",
            {"weights": None, "arguments": {"filters": (3,)}},
            OptionError,
            "no argument 'filters' of the base 'cnn'. Known: none",
        ),
        ("cnn", {"weights": "a.weights.h5"}, WeightsError, "There is no file 'a.wei"),
        ("cnn", {"weights": None, "trainable": "conv_9"}, UnknownNameError, "Nothing"),
        (
            "cnn",
            {"weights": None, "trainable": "stage:conv_9"},
            UnknownNameError,
            "no stage 'conv_9'",
        ),
    ],
)
def test_refuses_to_build(base, options, error, match):
    trunk = trunks.Pretrained(base, **options)
    with pytest.raises(error, match=match):
        build(trunk)


def test_refuses_options_at_once():
    for size in ((1, 2, 3), "large", 0):
        with pytest.raises(OptionError, match=r"one number or \(height, width\)"):
            trunks.Pretrained("cnn", image_size=size)
    with pytest.raises(OptionError, match="by their rank, at least 1"):
        trunks.Pretrained("cnn", "lora:0")
    with pytest.raises(OptionError, match="'pretrained' needs `base`"):
        build("pretrained")
    for method in (lambda trunk: trunk.stages("t"), lambda trunk: trunk.finish(0, "t")):
        with pytest.raises(OptionError, match="`begin`"):
            method(trunks.Pretrained("cnn"))


def test_refuses_inputs_of_another_kind():
    base = taught()
    for inputs, match in [
        ({"review": features.Text(["good"])}, r"takes photo \(image\). Received: revi"),
        ({"a": (32, 32, 3), "b": (32, 32, 3)}, "For several inputs take trunks.Multim"),
        ({"photo": (32, 32, 4)}, "takes pictures of 3 channels. Received: 4"),
        ({"age": ()}, r"Received: age \(vector\)|Received: age \(number\)"),
    ]:
        with pytest.raises(DataError, match=match):
            build(trunks.Pretrained(base), inputs=inputs)
    with pytest.raises(DataError, match="takes one image"):
        build(trunks.Pretrained(MOBILENET, weights=None), inputs={"age": ()})


def test_refuses_files_that_are_damaged(tmp_path):
    whole = tmp_path / "model.keras"
    taught().save(whole)
    content = whole.read_bytes()
    for name, damaged in {
        "cut.keras": content[: len(content) // 2],
        "noise.keras": b"no archive at all",
        "cut.weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    }.items():
        path = tmp_path / name
        path.write_bytes(damaged)
        trunk = (
            trunks.Pretrained(path)
            if name.endswith(".keras")
            else trunks.Pretrained("cnn", weights=path)
        )
        with pytest.raises(WeightsError, match=name):
            build(trunk)


def test_refuses_weights_of_another_shape(tmp_path):
    taught(trunks.CNN((4, 7))).save_weights(tmp_path / "all.weights.h5")
    path = tmp_path / "other.weights.h5"
    for filters in ((4, 7), (4,)):
        inputs = keras.Input((32, 32, 3), name="photo")
        source = trunks.Source(PHOTO["photo"], inputs)
        features_of = trunks.CNN(filters).connect({"photo": source}).pooled
        keras.Model(inputs, features_of).save_weights(path)
        with pytest.raises(WeightsError, match=r"don't fit 'cnn'|of another network"):
            build(trunks.Pretrained("cnn", weights=path))


def test_refuses_a_size_that_the_base_can_not_take():
    flat = taught(trunks.CNN((4,), pooling="flatten", units=(5,)))
    smaller = {"photo": features.Image((16, 16, 3))}
    with pytest.raises(WeightsError, match="resized by `image_size`"):
        build(trunks.Pretrained(flat), inputs=smaller)


def test_refuses_trunks_that_are_several():
    with pytest.raises(WeightsError, match="has several trunks"):
        build(trunks.Pretrained(taught(architecture="single_task")))
    with pytest.raises(WeightsError, match=r"mixed halfway: 'trunk\.\w+\.conv_2'"):
        build(trunks.Pretrained(taught(architecture="cross_stitch")))


def test_refuses_layers_that_keras_can_not_make_anew():
    class Mine(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    image = keras.Input((32, 32, 3))
    with pytest.raises(
        WeightsError, match=r"'mine' of the base can't be made anew.*@k"
    ):
        build(trunks.Pretrained(keras.Model(image, Mine(name="mine")(image))))


def test_refuses_outputs_that_are_no_features():
    image = keras.Input((32, 32, 3))
    two = keras.Model(image, [image[..., 0], image[..., 1]])
    with pytest.raises(WeightsError, match="A base gives a tensor of 2, 3 or 4 axes"):
        build(trunks.Pretrained(two))
    with pytest.raises(UnknownNameError, match="no layer 'pol'"):
        build(trunks.Pretrained(classifier(), output="pol"))


def test_says_so_when_there_is_no_network(monkeypatch, tmp_path):
    """Keras's own download, from where nobody listens; nothing is left behind."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for module in (keras.src.applications.mobilenet_v2,):
        monkeypatch.setattr(module, "BASE_WEIGHT_PATH", "http://127.0.0.1:9/")
    with pytest.raises(DownloadError, match=r"can't be had.*Without a network, pass"):
        build(trunks.Pretrained(MOBILENET))
    assert not [one for one in tmp_path.rglob("*") if one.is_file()]
