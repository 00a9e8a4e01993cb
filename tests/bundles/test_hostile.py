"""Bundles that would do harm: refused before anything of them runs."""

import io
import json
import os
import struct
import time
import tracemalloc
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from bundles import made

from mtlzoo import _bundles, hub
from mtlzoo._bundles import _golden
from mtlzoo._bundles._check_config import check_config
from mtlzoo.errors import BundleError


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "../../outside",
            "heads/../../outside",
            "/etc/passwd",
            "heads\\..\\..\\outside",
            "C:outside",
            "heads//click",
            ".hidden",
            "bundle.json",
            "a\0b",
            "",
            "x" * 300,
        ],
    )
    def test_that_leads_out(self, bundle, path):
        folder = made.change_manifest(
            bundle, lambda data: data["files"][0].update(path=path)
        )
        with pytest.raises(BundleError, match=r"and stays in the bundle\. Rec"):
            _bundles.Bundle(folder)

    def test_link(self, bundle, tmp_path):
        weights = bundle.folder / "shared.safetensors"
        weights.rename(tmp_path / "elsewhere")
        weights.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(BundleError, match="is a link, which could lead out"):
            made.build(bundle)

    def test_folder_that_is_a_link(self, bundle, tmp_path):
        (bundle.folder / "heads").rename(tmp_path / "elsewhere")
        (bundle.folder / "heads").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(BundleError, match="is a link, which could lead out"):
            made.build(bundle)

    def test_pipe(self, bundle):
        (bundle.folder / "golden.npz").unlink()
        os.mkfifo(bundle.folder / "golden.npz")
        with pytest.raises(BundleError, match="is not a regular file"):
            bundle.golden()

    def test_name_that_leads_out(self, bundle):
        folder = made.change_manifest(
            bundle, lambda data: data.update(name="../../home.x")
        )
        with pytest.raises(BundleError, match="The name of a bundle is"):
            _bundles.Bundle(folder)


def thing(class_name, module, config=None, registered=None):
    return {
        "class_name": class_name,
        "module": module,
        "config": config or {},
        "registered_name": registered,
    }


class TestConfig:
    """The check sees any object anywhere: here, in place of an activation."""

    @pytest.mark.parametrize(
        "hostile",
        [
            thing("system", "os"),
            thing("Popen", "subprocess", {"args": ["sh"]}),
            thing("Lambda", "keras.layers", {"function": "x"}),
            thing("TFSMLayer", "keras.layers", {"filepath": "/tmp/x"}),
            thing("TorchModuleWrapper", "keras.layers"),
            thing("JaxLayer", "keras.layers"),
            thing("get_file", "keras.utils"),
            thing("load_model", "keras.models", {"filepath": "/tmp/x.keras"}),
            thing("Map", "keras.src.ops.core"),
            thing("np", "keras.src.ops.numpy"),
            thing("any_symbolic_tensors", "keras.src.ops.numpy"),
            thing("deserialize", "keras.losses"),
            thing("_private", "keras.losses"),
            thing("Dense", "somewhere.else"),
            thing("Dense", "keras.layers", registered="evil>Dense"),
            thing("Evil", "mtlzoo.model", registered="mtlzoo>Evil"),
            thing("Other", "mtlzoo.model", registered="mtlzoo>MultiTaskModel"),
            thing("Dense", None),
            thing("function", "builtins", "eval"),
            thing("function", "os", "system"),
            thing("function", "builtins", {"a": 1}),
            thing(["Dense"], "keras.layers"),
            thing("__lambda__", None, {"value": ["code", None, None]}),
            thing("__typespec__", "tensorflow"),
            {"class_name": "Dense", "config": {"units": 1}},
        ],
    )
    def test_foreign_class(self, bundle, hostile):
        def change(config):
            config["config"]["layers"][-1]["config"]["activation"] = hostile

        folder = made.change_config(bundle, change)
        with pytest.raises(BundleError, match="which a bundle may not: only layers of"):
            made.build(_bundles.Bundle(folder))

    def test_class_of_a_plugin(self, bundle):
        @keras.saving.register_keras_serializable("evil")
        class Plugin(keras.layers.Layer):
            pass

        hostile = keras.saving.serialize_keras_object(Plugin())
        with pytest.raises(BundleError, match="'evil>Plugin'"):
            check_config(hostile)

    @pytest.mark.parametrize("key", ["vocabulary", "idf_weights"])
    def test_vocabulary_of_a_file(self, bundle, key):
        layer = thing("StringLookup", "keras.layers", {key: "/etc/passwd"})
        with pytest.raises(BundleError, match=f"reads its {key} from the file"):
            check_config(layer)

    def test_type_that_takes_all_memory(self):
        config = {"value": [1, 2], "dtype": "V4000000000"}
        with pytest.raises(BundleError, match="values of the type 'V4000000000'"):
            check_config(thing("__numpy__", None, config))

    def test_no_object(self):
        for config in ([], {}, "model"):
            with pytest.raises(BundleError, match="must describe a Keras model"):
                check_config(config)

    def test_nested_without_end(self, bundle):
        content = b'{"a":' * 5000 + b"1" + b"}" * 5000
        folder = made.replace_file(bundle, "config.json", content)
        with pytest.raises(BundleError, match=r"can't be read as JSON|nested more"):
            made.build(_bundles.Bundle(folder))
        deep = {"class_name": "Dense", "module": "keras.layers"}
        for _ in range(150):
            deep = {**thing("Dense", "keras.layers"), "config": deep}
        with pytest.raises(BundleError, match="nested more deeply"):
            check_config(deep)

    def test_what_our_own_models_need_is_allowed(self):
        x = keras.Input((4,), name="x")
        hidden = keras.layers.Dense(3, "relu", kernel_regularizer="l2")(x) * 2.0
        answer = keras.ops.softmax(keras.ops.concatenate([hidden, x], axis=-1))
        config = keras.saving.serialize_keras_object(keras.Model(x, answer))
        check_config(json.loads(json.dumps(config)))


class TestSizes:
    def test_terabytes_in_the_config(self, bundle):
        def change(config):
            for layer in config["config"]["layers"]:
                if layer["name"] == "trunk.job.embedding":
                    layer["config"]["input_dim"] = 10**12

        folder = made.change_config(bundle, change)
        begin = time.monotonic()
        with pytest.raises(BundleError, match=r"has the shape .*1000000000000"):
            made.build(_bundles.Bundle(folder))
        assert time.monotonic() - begin < 30
        # Nothing is left that Keras would allocate later.
        with keras.StatelessScope():
            pass

    def test_terabytes_in_the_weights(self, bundle):
        header = json.dumps(
            {"w": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}
        ).encode()
        content = struct.pack("<Q", len(header)) + header + b"\0" * 16
        folder = made.replace_file(bundle, "shared.safetensors", content)
        with pytest.raises(BundleError, match="is no sound safetensors file"):
            made.build(_bundles.Bundle(folder))

    @pytest.mark.parametrize(
        "header",
        [
            {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
            {"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 16]}},
            {"w": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}},
            {"w": {"dtype": "F32", "shape": [4], "data_offsets": [16, 32]}},
            {"w": {"dtype": "OBJ", "shape": [4], "data_offsets": [0, 16]}},
            {"w": {"dtype": "F32", "shape": [2**63, 2], "data_offsets": [0, 16]}},
            {},
            [],
        ],
    )
    def test_safetensors_that_lie(self, bundle, header):
        text = json.dumps(header).encode()
        content = struct.pack("<Q", len(text)) + text + b"\0" * 16
        folder = made.replace_file(bundle, "shared.safetensors", content)
        with pytest.raises(BundleError, match="is no sound safetensors file"):
            made.build(_bundles.Bundle(folder))

    def test_header_longer_than_the_file(self, bundle):
        content = struct.pack("<Q", 2**62) + b"{}"
        folder = made.replace_file(bundle, "shared.safetensors", content)
        with pytest.raises(BundleError, match="is no sound safetensors file"):
            made.build(_bundles.Bundle(folder))

    def test_file_longer_than_the_manifest_says(self, bundle):
        with (bundle.folder / "shared.safetensors").open("ab") as file:
            file.truncate(2**40)  # sparse: it takes no room on the disk
        with pytest.raises(BundleError, match="were expected"):
            made.build(bundle)

    def test_manifest_without_end(self, bundle):
        with (bundle.folder / "bundle.json").open("ab") as file:
            file.truncate(2**40)
        with pytest.raises(BundleError, match="were expected"):
            _bundles.Bundle(bundle.folder)


class TestGolden:
    def spoil(self, bundle, content):
        return _bundles.Bundle(made.replace_file(bundle, "golden.npz", content))

    def test_pickle(self, bundle, tmp_path):
        stream = io.BytesIO()
        evil = np.array([Evil(tmp_path / "ran")], dtype=object)
        np.savez(stream, **{"inputs.age": evil})
        with pytest.raises(BundleError, match="holds pickled objects, which could run"):
            self.spoil(bundle, stream.getvalue()).golden()
        assert not (tmp_path / "ran").exists()

    def test_zip_bomb(self, bundle):
        stream = io.BytesIO()
        with (
            zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as one,
            one.open("inputs.age.npy", "w", force_zip64=True) as file,
        ):
            for _ in range(_golden.LIMIT // 2**24 + 1):
                file.write(bytes(2**24))
        content = stream.getvalue()
        assert len(content) < _golden.LIMIT // 100
        spoiled = self.spoil(bundle, content)
        tracemalloc.start()
        with pytest.raises(BundleError, match=r"would unpack to 2[\d,]+ bytes"):
            spoiled.golden()
        assert tracemalloc.get_traced_memory()[1] < 2**24
        tracemalloc.stop()

    def test_many_entries(self, bundle):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as one:
            for index in range(_golden.ENTRIES + 1):
                one.writestr(f"inputs.{index}.npy", b"")
        with pytest.raises(BundleError, match="would unpack to"):
            self.spoil(bundle, stream.getvalue()).golden()

    def entry(self, header, body=b"\0" * 16, name="inputs.age.npy"):
        text = repr(header).encode().ljust(117) + b"\n"
        content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as one:
            one.writestr(name, content)
        return stream.getvalue()

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ({"descr": "<f4", "shape": (10**12,)}, r"claims to have the shape \(1000"),
            ({"descr": "<f4", "shape": (-2, -2)}, "claims to have the shape|damaged"),
            ({"descr": "|V16", "shape": (1,)}, "must hold numbers or strings"),
            ({"descr": [("a", "<f4")], "shape": (4,)}, "must hold numbers or strings"),
            ({"descr": "nonsense", "shape": (4,)}, "is damaged"),
        ],
    )
    def test_header_that_lies(self, bundle, header, message):
        content = self.entry({**header, "fortran_order": False})
        with pytest.raises(BundleError, match=message):
            self.spoil(bundle, content).golden()

    def test_other_files(self, bundle):
        header = {"descr": "<f4", "shape": (4,), "fortran_order": False}
        content = self.entry(header, name="../outside.npy")
        with pytest.raises(BundleError, match=r"holds '\.\./outside\.npy'; only"):
            self.spoil(bundle, content).golden()

    def test_no_zip(self, bundle):
        with pytest.raises(BundleError, match=r"golden\.npz is damaged"):
            self.spoil(bundle, b"PK nothing").golden()


class TestManifest:
    @pytest.mark.parametrize("version", [2, 0, "1", None, True])
    def test_other_format(self, bundle, version):
        folder = made.change_manifest(bundle, lambda data: data.update(format=version))
        with pytest.raises(BundleError, match="A newer format needs a newer mtlzoo"):
            _bundles.Bundle(folder)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (b'{"format": 1, "format": 2}', "the key 'format' stands twice"),
            (b'{"format": NaN}', "NaN is no JSON"),
            (b"\xff\xfe", "can't be read as JSON"),
            (b"[" * 100_000, "can't be read as JSON"),
            (b"9" * 5000, "can't be read as JSON"),
            (b"[]", "must be of the bundle format 1. Received: None"),
        ],
    )
    def test_no_sound_json(self, bundle, text, message):
        (bundle.folder / "bundle.json").write_bytes(text)
        with pytest.raises(BundleError, match=message):
            _bundles.Bundle(bundle.folder)

    def test_index(self, tmp_path):
        for text, message in (
            ('{"bundles": [], "format": 9}', "must be of the format 1. Received: 9"),
            ('{"bundles": [{}]}', "lacks: architecture"),
            ('{"bundles": 3}', "must be a list"),
        ):
            (tmp_path / "index.json").write_text(text)
            with pytest.raises(BundleError, match=message):
                _bundles._index.read_index(tmp_path)


class TestSavedModel:
    def test_that_reads_files(self, bundle):
        class Leak(tf.Module):
            @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
            def read(self, path):
                return {"content": tf.io.read_file(path)}

        leak = Leak()
        folder = bundle.folder / "saved_model" / "1"
        signatures = {"serving_default": leak.read}
        tf.saved_model.save(leak, str(folder), signatures=signatures)
        spoiled = _bundles._write._listed(bundle.folder, bundle.info)
        with pytest.raises(BundleError, match="does more than to compute: ReadFile"):
            hub.verify(spoiled.folder)
