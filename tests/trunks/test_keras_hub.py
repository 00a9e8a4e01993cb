"""Presets of keras_hub as bases.

The presets are made here, tiny and with random weights, by keras_hub itself: those with
trained weights come over a network. They load the same way.
"""

import io
import shutil
import sys

import fresh
import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import mtlzoo
from mtlzoo import features, tasks, trunks
from mtlzoo.errors import (
    DataError,
    DownloadError,
    MissingExtraError,
    OptionError,
    UnknownNameError,
    WeightsError,
)
from mtlzoo.export._signatures import trace_predict, write
from mtlzoo.trunks._pretrained._hub_preset import load

keras_hub = pytest.importorskip("keras_hub", reason='pip install "mtlzoo[keras_hub]"')
# keras_hub leaves the file of a SentencePiece vocabulary to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), "uint8")
TEXTS = np.array(["the quick fox", "a fox", "Foxes quick the", ""])
LABELS = {"sharp": np.array([0, 1, 0, 1]), "bright": np.array([0, 0, 1, 1])}
MEAN, DEVIATION = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def resnet():
    """Return a small network, and the scaling that goes with it."""
    network = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
    )
    scaling = keras_hub.layers.ResNetImageConverter(
        image_size=(224, 224),
        scale=[1 / 255 / one for one in DEVIATION],
        offset=[-mean / one for mean, one in zip(MEAN, DEVIATION, strict=True)],
    )
    return network, scaling


def vit():
    network = keras_hub.models.ViTBackbone(
        image_shape=(16, 16, 3),
        patch_size=8,
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=8,
    )
    return network, keras_hub.layers.ViTImageConverter(scale=1 / 127.5, offset=-1.0)


def sizes(words):
    return {
        "vocabulary_size": words,
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 8,
        "intermediate_dim": 8,
        "max_sequence_length": 16,
    }


def bert():
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "quick", "fox"]
    words.append("##es")
    tokenizer = keras_hub.models.BertTokenizer(words, lowercase=True)
    return keras_hub.models.BertBackbone(**sizes(len(words))), tokenizer


def roberta():
    pieces = ["<s>", "<pad>", "</s>", "<mask>", *"theaquickfox", "Ġ", "Ġf", "Ġfo"]
    pieces += ["Ġfox", "th", "the"]
    vocabulary = {one: index for index, one in enumerate(dict.fromkeys(pieces))}
    merges = ["Ġ f", "Ġf o", "Ġfo x", "t h", "th e"]
    tokenizer = keras_hub.models.RobertaTokenizer(vocabulary, merges)
    return keras_hub.models.RobertaBackbone(**sizes(len(vocabulary))), tokenizer


def albert():
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick fox", "a fox is a fox", "the quick"]),
        model_writer=model,
        model_type="WORD",
        vocab_size=20,
        hard_vocab_limit=False,
        **{"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3},
        **{"pad_piece": "<pad>", "bos_piece": "[CLS]", "eos_piece": "[SEP]"},
        user_defined_symbols="[MASK]",
        minloglevel=2,
    )
    tokenizer = keras_hub.models.AlbertTokenizer(model.getvalue())
    network = keras_hub.models.AlbertBackbone(embedding_dim=8, **sizes(20))
    return network, tokenizer


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """Return a folder of presets."""
    folder = tmp_path_factory.mktemp("presets")
    for make in (resnet, vit, bert, roberta, albert):
        for part in make():
            part.save_to_preset(str(folder / make.__name__))
    return folder


def build(trunk, architecture="shared_bottom", inputs=None):
    return mtlzoo.build(
        architecture,
        inputs=inputs or {"photo": features.Image((32, 32, 3))},
        tasks=[tasks.Binary("sharp"), tasks.Binary("bright")],
        trunk=trunk,
    )


def read(trunk, text=None):
    return build(trunk, inputs={"review": text or features.Text()})


class TestImages:
    def test_gives_what_the_preset_gives(self, presets):
        """Whole pixels in, scaled as its own converter does it."""
        model = build(trunks.Pretrained(presets / "resnet", False))
        network = keras_hub.models.Backbone.from_preset(str(presets / "resnet"))
        converter = keras_hub.layers.ImageConverter.from_preset(str(presets / "resnet"))
        converter.image_size = None
        expected = network.predict(converter(PIXELS), verbose=0).mean((1, 2))
        found = model.representations({"photo": PIXELS}, verbose=0)["sharp"]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert not any("trunk" in one.path for one in model.trainable_variables)

    def test_its_stages_can_be_mixed_and_trained(self, presets):
        model = build(trunks.Pretrained(presets / "resnet"), "cross_stitch")
        stitches = [one.name for one in model.layers if "sharing.stitch" in one.name]
        assert len(stitches) == 2 * 3  # conv1, stack0 and stack1
        made = build(trunks.Pretrained(presets / "resnet", "stage:stack1"))
        trained = {one.path.split("/")[0] for one in made.trainable_variables}
        trunk = {one for one in trained if one.startswith("trunk")}
        assert trunk
        assert all(one.startswith("trunk.stack1_") for one in trunk)

    def test_structure_alone_or_weights_of_a_file(self, presets):
        folder = presets / "resnet"
        kernels = [
            build(trunks.Pretrained(folder, weights=weights))
            .get_layer("trunk.conv1_conv")
            .get_weights()[0]
            for weights in ("pretrained", folder / "model.weights.h5", None)
        ]
        np.testing.assert_array_equal(kernels[0], kernels[1])
        assert not np.array_equal(kernels[0], kernels[2])

    def test_half_precision_reaches_every_layer(self, presets):
        keras.config.set_dtype_policy("mixed_float16")
        model = build(trunks.Pretrained(presets / "resnet"))
        assert model.get_layer("trunk.preprocessing").compute_dtype == "float16"
        assert model.get_layer("trunk.conv1_conv").compute_dtype == "float16"

    def test_a_network_of_one_size_asks_for_it(self, presets, tmp_path):
        with pytest.raises(WeightsError, match=r"16 x 16.*Received: 32.*image_size="):
            build(trunks.Pretrained(presets / "vit"))
        trunk = trunks.Pretrained(presets / "vit", "last:1", image_size=16)
        model = build(trunk)
        assert len([one for one in model.trainable_variables if "vit" in one.path]) == 2
        network = keras_hub.models.Backbone.from_preset(str(presets / "vit"))
        small = keras.ops.image.resize(PIXELS.astype("float32"), (16, 16))
        sequence = network.predict(small / 127.5 - 1, verbose=0)
        found = model.representations({"photo": PIXELS}, verbose=0)["sharp"]
        np.testing.assert_allclose(found, sequence.mean(1), atol=2e-2)
        model.fit({"photo": PIXELS}, LABELS, verbose=0)
        expected = model.predict({"photo": PIXELS}, verbose=0)["sharp"]
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        found = again.predict({"photo": PIXELS}, verbose=0)["sharp"]
        np.testing.assert_allclose(found, expected, atol=1e-6)


class TestTexts:
    def test_gives_the_mean_over_the_tokens(self, presets):
        model = read(trunks.Pretrained(presets / "bert", arguments={"length": 8}))
        folder = str(presets / "bert")
        tokens = keras_hub.models.TextClassifierPreprocessor.from_preset(
            folder, sequence_length=8
        )(list(TEXTS))
        network = keras_hub.models.Backbone.from_preset(folder)
        sequence = network.predict(tokens, verbose=0)["sequence_output"]
        there = np.asarray(tokens["padding_mask"])[..., None]
        expected = (sequence * there).sum(1) / there.sum(1)
        found = model.representations({"review": TEXTS}, verbose=0)["sharp"]
        np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_another_layer_can_give_the_features(self, presets):
        trunk = trunks.Pretrained(presets / "bert", output="pooled_dense")
        model = read(trunk)
        assert model.get_layer("trunk.pooled_dense")
        assert (
            model.representations({"review": TEXTS}, verbose=0)["sharp"].shape[1] == 8
        )

    @pytest.mark.parametrize(
        "name", ["bert", pytest.param("roberta", marks=pytest.mark.slow), "albert"]
    )
    def test_from_words_to_predictions(self, presets, name, tmp_path):
        """Trained, saved and served; each kind of tokenizer is in the graph."""
        model = read(trunks.Pretrained(presets / name, "last:1"))
        before = [one.numpy() for one in model.weights if "embedding" in one.path]
        model.fit({"review": TEXTS}, LABELS, verbose=0)
        after = [one.numpy() for one in model.weights if "embedding" in one.path]
        assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
        x = {"review": tf.constant(TEXTS)}
        expected = model(x)["sharp"]
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(again(x)["sharp"], expected, atol=1e-6)
        # One signature, as `saved_model` writes it; all take a minute to trace.
        signatures = {"serving_default": trace_predict(model)}
        write(model, signatures, tmp_path / "served")
        with mtlzoo.export.load(tmp_path / "served") as exported:
            found = exported({"review": TEXTS})["sharp"]
        np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_a_length_beyond_the_network_is_refused(self, presets):
        for length in (17, 2, "8"):
            trunk = trunks.Pretrained(presets / "bert", arguments={"length": length})
            with pytest.raises(OptionError, match=r"from 3 to 16. Received: le"):
                read(trunk)


RELOAD = """
import sys
import mtlzoo, keras, numpy as np
for name, key in (("image", "photo"), ("text", "review")):
    model = keras.saving.load_model(folder / f"{name}.keras")
    stored = np.load(folder / f"{name}.npz")
    found = model.predict({key: stored["x"]}, verbose=0)["sharp"]
    np.testing.assert_allclose(found, stored["y"], atol=1e-5)
    assert ("keras_hub" in sys.modules) == (name == "text")
"""


def test_loads_in_a_fresh_process_without_the_preset(presets, tmp_path):
    """A ResNet is made of Keras's layers alone, and needs no keras_hub then."""
    for name, make, preset, key, x in (
        ("image", build, "resnet", "photo", PIXELS),
        ("text", read, "bert", "review", TEXTS),
    ):
        shutil.copytree(presets / preset, tmp_path / preset)
        model = make(trunks.Pretrained(tmp_path / preset))
        model.save(tmp_path / f"{name}.keras")
        y = model.predict({key: x}, verbose=0)["sharp"]
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
        shutil.rmtree(tmp_path / preset)
    fresh.run(RELOAD, folder=tmp_path)


def test_another_process_answers_in_the_words_of_the_tokenizer(presets, tmp_path):
    """It learns what TensorFlow Text adds, as the server has it built in."""
    model = mtlzoo.build(
        "shared_bottom",
        inputs={"review": features.Text()},
        tasks=[tasks.Count("words")],
        trunk=trunks.Pretrained(presets / "bert", False),
    )
    served = mtlzoo.export.saved_model(model, tmp_path / "served", warmup=False)
    assert not mtlzoo.export.scan(served)


class TestRefuses:
    def test_unknown_names(self):
        with pytest.raises(UnknownNameError, match="a preset 'keras_hub/resnet_18_im"):
            build(trunks.Pretrained("resnet_18_imagenet"))
        with pytest.raises(
            UnknownNameError,
            match=r"no preset of keras_hub 'resnet_18_imagnet'. Did you mean 'resnet_1",
        ):
            build(trunks.Pretrained("keras_hub/resnet_18_imagnet"))

    def test_names_without_a_network(self, monkeypatch, tmp_path):
        """keras_hub's own download, through a proxy where nobody listens."""
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
        with pytest.raises(DownloadError, match=r"be had: .*127.0.0.1.*Without a n"):
            build(trunks.Pretrained("keras_hub/resnet_18_imagenet"))
        assert not [one for one in tmp_path.rglob("*") if one.is_file()]

    @pytest.mark.parametrize(
        ("file", "content", "match"),
        [
            ("model.weights.h5", 5000, "can't be loaded: .*truncated"),
            ("model.weights.h5", None, "can't be loaded: .*doesn't exist"),
            ("image_converter.json", None, "image_converter.json.* doesn't exist"),
            ("config.json", b"{", "can't be loaded"),
            ("config.json", b'{"a": 1}', "can't be loaded: Unrecognized format"),
        ],
    )
    def test_damaged_folders(self, presets, tmp_path, file, content, match):
        folder = tmp_path / "damaged"
        shutil.copytree(presets / "resnet", folder)
        whole = (folder / file).read_bytes()
        (folder / file).unlink()
        if content is not None:
            new = whole[:content] if isinstance(content, int) else content
            (folder / file).write_bytes(new)
        with pytest.raises(WeightsError, match=match):
            build(trunks.Pretrained(folder))

    def test_damaged_downloads(self, tmp_path):
        """As h5py finds them where keras_hub keeps what it has downloaded."""
        path = tmp_path / "model.weights.h5"
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))

        class Network:
            from_preset = staticmethod(lambda preset: h5py.File(path))

        with pytest.raises(WeightsError, match=r"_imagenet' are damaged: .*Delete"):
            load(Network, "resnet_18_imagenet")

    def test_a_saved_text_model_without_the_extra(self, presets, tmp_path, monkeypatch):
        read(trunks.Pretrained(presets / "bert")).save(tmp_path / "model.keras")
        monkeypatch.setitem(sys.modules, "tensorflow_text", None)
        with pytest.raises(
            MissingExtraError, match="text base of keras_hub needs tens"
        ):
            keras.saving.load_model(tmp_path / "model.keras")

    def test_inputs_of_another_kind(self, presets):
        with pytest.raises(DataError, match=r"takes text \(text\). Received: photo"):
            build(trunks.Pretrained(presets / "bert"))
        with pytest.raises(DataError, match=r"takes image \(image\). Received: review"):
            read(trunks.Pretrained(presets / "resnet"))

    def test_arguments_that_it_does_not_have(self, presets):
        for name, make in (("resnet", build), ("bert", read)):
            with pytest.raises(OptionError, match=r"no argument 'size' of the base"):
                make(trunks.Pretrained(presets / name, arguments={"size": 3}))
        with pytest.raises(UnknownNameError, match=r"no layer 'conv1_con'. Did you me"):
            build(trunks.Pretrained(presets / "resnet", output="conv1_con"))
        trunk = trunks.Pretrained(
            presets / "vit", image_size=16, output="vit_patching_and_embedding"
        )
        with pytest.raises(WeightsError, match="_and_embedding' can't give the featu"):
            build(trunk)

    def test_networks_of_other_kinds(self, tmp_path):
        network = keras_hub.models.GPT2Backbone(**sizes(20))
        network.save_to_preset(str(tmp_path / "gpt2"))
        with pytest.raises(WeightsError, match="make texts into what the GPT2Backbon"):
            read(trunks.Pretrained(tmp_path / "gpt2"))
        two = keras_hub.models.CLIPBackbone(
            keras_hub.models.CLIPVisionEncoder(8, 8, 1, 2, 8, image_shape=(16, 16, 3)),
            keras_hub.models.CLIPTextEncoder(9, 8, 8, 1, 2, 8),
            projection_dim=4,
        )
        two.save_to_preset(str(tmp_path / "clip"))
        with pytest.raises(WeightsError, match=r"takes .*images.* takes one image o"):
            read(trunks.Pretrained(tmp_path / "clip"))

    def test_scaling_that_is_not_known_here(self, presets, monkeypatch):
        plain = keras_hub.layers.ResNetImageConverter.call
        monkeypatch.setattr(
            keras_hub.layers.ResNetImageConverter,
            "call",
            lambda self, inputs: plain(self, inputs) ** 2,
        )
        with pytest.raises(WeightsError, match="does more than scale pixels"):
            build(trunks.Pretrained(presets / "resnet"))

    def test_an_extra_that_is_not_installed(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "keras_hub", None)
        with pytest.raises(MissingExtraError, match=r'install "mtlzoo\[keras_hub\]"'):
            build(trunks.Pretrained("keras_hub/resnet_18_imagenet"))
