"""What is written is what loads, and nothing that doesn't fit."""

import dataclasses
import shutil

import fresh
import keras
import numpy as np
import pytest
import safetensors.numpy
from bundles import made

import mtlzoo
from mtlzoo import _bundles, tasks, trunks
from mtlzoo._bundles._write import compare
from mtlzoo.errors import BundleError, ExportError


class TestRoundTrip:
    def test_answers_are_the_same(self, tmp_path):
        model = made.table_model(balancing="uncertainty")
        bundle = made.write(tmp_path, model)
        again = made.build(bundle)
        rows = made.table_rows(16)
        made.assert_same(model.predict(rows), again.predict(rows))
        assert again.tasks == model.tasks
        assert again.compiled
        _bundles.check_golden(again, bundle)

    def test_files(self, published):
        bundle = made.in_folder(published, "mmoe.table")
        assert [one.path for one in bundle.info.files] == [
            "config.json",
            "golden.npz",
            "heads/click.safetensors",
            "heads/color.safetensors",
            "shared.safetensors",
        ]
        shared = bundle.shared_weights()
        assert "sharing.experts/kernel_1" in shared
        assert not [key for key in shared if key.startswith("heads.")]
        bundle.verify()

    def test_manifest(self, published):
        info = made.in_folder(published, "mmoe.table").info
        assert [(one.name, one.kind, one.classes) for one in info.tasks] == [
            ("click", "binary", ()),
            ("color", "multiclass", ("red", "blue")),
        ]
        assert {one.name: (one.shape, one.dtype) for one in info.inputs} == {
            "age": ((), "float32"),
            "job": ((), "string"),
            "review": ((), "string"),
        }
        assert info.parameters == made.table_model().count_params()
        assert info.keras_version == keras.version()
        text = info.to_json()
        assert _bundles.WeightsInfo.from_json(text.encode()) == info

    def test_golden_strings_need_no_pickle(self, published):
        inputs, outputs = made.in_folder(published, "mmoe.table").golden()
        assert inputs["job"].dtype.kind == "U"
        assert outputs["color"].shape == (4, 2)

    def test_the_same_bytes_each_time(self, published, tmp_path):
        keras.utils.set_random_seed(0)
        model = made.table_model()
        first = made.write(tmp_path / "a", model)
        second = made.write(tmp_path / "b", model)
        assert first.sha256 == second.sha256

    def test_half_the_bytes(self, tmp_path):
        model = made.table_model()
        bundle = made.write(tmp_path, model, half=True)
        assert bundle.shared_weights()["sharing.experts/kernel_1"].dtype == "float16"
        again = made.build(bundle)
        assert {one.dtype for one in again.weights} == {"float32"}
        rows = made.table_rows()
        made.assert_same(model.predict(rows), again.predict(rows), 1e-2)
        _bundles.check_golden(again, bundle)

    def test_fresh_process(self, published):
        code = (
            "import mtlzoo\n"
            "from mtlzoo import _bundles\n"
            "bundle = _bundles.find(folder)\n"
            "_bundles.check_golden(_bundles.build_model(bundle), bundle)\n"
        )
        fresh.run(code, folder=str(published / "mmoe.table"))

    def test_nested_models(self, tmp_path):
        dense = keras.layers.Dense(3, name="dense")
        inner = keras.Sequential([keras.Input((4,)), dense], name="in")
        normal = keras.layers.Normalization(name="normal")
        normal.adapt(np.random.default_rng(0).normal(5.0, 2.0, (64, 4)))
        x = keras.Input((4,), name="x")
        hidden = inner(normal(x)) * 2.0
        outputs = {
            name: keras.layers.Dense(1, activation="sigmoid", name=name)(hidden)
            for name in ("click", "buy")
        }
        model = mtlzoo.MultiTaskModel.from_functional(
            keras.Model({"x": x}, outputs), [tasks.Binary("click"), tasks.Binary("buy")]
        )
        rows = {"x": np.random.default_rng(1).normal(size=(4, 4)).astype("float32")}
        bundle = made.write(tmp_path, model, rows)
        assert "in/dense/kernel" in bundle.shared_weights()
        made.assert_same(model.predict(rows), made.build(bundle).predict(rows))

    @pytest.mark.parametrize("cell", ["lstm", "gru"])
    def test_recurrent(self, tmp_path, cell):
        model = mtlzoo.build(
            "shared_bottom",
            inputs={"series": (5, 2)},
            tasks=[tasks.Binary("click"), tasks.Regression("size")],
            trunk=trunks.RNN((3,), cell=cell, bidirectional=True),
        )
        rows = {"series": np.zeros((2, 5, 2), "float32")}
        bundle = made.write(tmp_path, model, rows)
        made.assert_same(model.predict(rows), made.build(bundle).predict(rows))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    model, rows = made.photo_model("any"), made.photo_rows()
    base = made.write(folder, model, rows, "resnet.photos", half=True)
    for name in ("cat", "dog"):
        head = made.stand_on(made.photo_model(name), base)
        made.write(folder, head, rows, f"{name}.resnet", base=("resnet.photos", 1))
    return folder


class TestBase:
    def test_stores_only_what_is_not_the_base(self, models):
        bundle = made.in_folder(models, "cat.resnet")
        assert bundle.shared_weights() == {}
        assert bundle.info.base.prefix == "trunk."
        assert bundle.info.size < made.in_folder(models, "resnet.photos").info.size
        _bundles.check_golden(made.build(bundle), bundle)

    def test_fingerprint_is_that_of_the_model(self, models):
        weights = _bundles.weights_by_key(
            made.build(made.in_folder(models, "dog.resnet"))
        )
        trunk = {
            key.removeprefix("trunk."): one
            for key, one in weights.items()
            if key.startswith("trunk.")
        }
        base = made.in_folder(models, "resnet.photos")
        found = _bundles.fingerprint(trunk)
        assert found == _bundles.fingerprint(_bundles.base_weights(base))
        assert found == made.in_folder(models, "cat.resnet").info.base.fingerprint
        name = min(trunk)
        trunk[name] = np.nextafter(trunk[name].numpy(), np.float32(9))
        assert _bundles.fingerprint(trunk) != found

    def test_other_base(self, models, tmp_path):
        other = made.write(
            tmp_path, made.photo_model("any"), made.photo_rows(), "resnet.photos"
        )
        bundle = made.in_folder(models, "cat.resnet")
        with pytest.raises(BundleError, match=r"was trained on the base 'resnet"):
            _bundles.build_model(bundle, lambda *_: other)

    def test_trained_base(self, models):
        model = made.photo_model("cat")
        with pytest.raises(BundleError, match=r"is not the base 'resnet.photos' any"):
            made.write(
                models, model, made.photo_rows(), "x.resnet", base=("resnet.photos", 1)
            )

    def test_no_base(self, models):
        with pytest.raises(BundleError, match=r"doesn't stand on that base"):
            made.write(models, name="x.resnet", base=("resnet.photos", 1))

    def test_stores_what_is_the_base(self, models, tmp_path):
        shutil.copytree(models, tmp_path / "models")
        bundle = made.in_folder(tmp_path / "models", "cat.resnet")
        stolen = {"trunk.stem.conv/kernel": np.zeros((3, 3, 3, 4), "float32")}
        made.replace_file(bundle, "shared.safetensors", safetensors.numpy.save(stolen))
        with pytest.raises(BundleError, match=r"which belongs to its base"):
            made.build(_bundles.Bundle(bundle.folder))


class TestKeys:
    def test_relative(self):
        relative = _bundles.relative_keys
        assert relative(["trunk.a/kernel", "trunk.b/bias"]) == {
            "a/kernel": "trunk.a/kernel",
            "b/bias": "trunk.b/bias",
        }
        assert relative(["net/a/kernel", "net/b/bias"]).keys() == {"a/kernel", "b/bias"}
        assert relative(["a/kernel", "a/bias"]).keys() == {"a/kernel", "a/bias"}
        assert relative([]) == {}

    def test_one_name_twice(self, tmp_path):
        x = keras.Input((2,), name="x")
        inner = keras.layers.Dense(1, name="same")
        outer = keras.layers.Dense(1, name="other")
        model = keras.Model({"x": x}, {"y": outer(inner(x))})
        outer.name = "same"  # as layers may be that are shared between models
        with pytest.raises(BundleError, match=r"are called 'same/kernel'. Give"):
            _bundles.weights_by_key(model)


class TestRefusedToWrite:
    def test_version_is_there(self, published):
        with pytest.raises(BundleError, match=r"never changes. Publish the version 2"):
            made.write(published)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"license": " "}, "must state its license"),
            ({"description": ""}, "must state its description"),
            ({"version": 0}, "version of 'mmoe.table' must be at least 1"),
            (
                {"metrics": (_bundles.MetricInfo("a", "auc", float("nan"), "t"),)},
                "a auc of 'mmoe.table' must be a finite number",
            ),
        ],
    )
    def test_facts(self, tmp_path, changes, message):
        with pytest.raises(BundleError, match=message):
            made.write(tmp_path, changes=changes)

    @pytest.mark.parametrize("name", ["mmoe", "MMoE.adult", "a..b", "../a.b", "a.b/c"])
    def test_name(self, tmp_path, name):
        with pytest.raises(BundleError, match=r"The name of a bundle is <archit"):
            made.write(tmp_path, name=name)

    def test_lambda(self, tmp_path):
        x = keras.Input((2,), name="x")
        y = keras.layers.Lambda(lambda tensor: tensor * 2, name="evil")(x)
        model = keras.Model({"x": x}, {"y": keras.layers.Dense(1)(y)})
        with pytest.raises(BundleError, match=r"can't be published.*'Lambda'"):
            made.write(tmp_path, model, {"x": np.zeros((1, 2), "float32")})
        assert not list(tmp_path.rglob("bundle.json"))

    def test_outputs_without_names(self, tmp_path):
        x = keras.Input((2,), name="x")
        model = keras.Model({"x": x}, keras.layers.Dense(1)(x))
        with pytest.raises(BundleError, match=r"outputs of .* have no names"):
            made.write(tmp_path, model, {"x": np.zeros((1, 2), "float32")})

    def test_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "models").write_text("")
        with pytest.raises(ExportError, match=r"Can't write in"):
            made.write(tmp_path / "models")


class TestRefusedToLoad:
    """Weights and config that don't fit: with right hashes, as a mistake would."""

    def rewrite(self, bundle, change):
        weights = dict(bundle.shared_weights())
        change(weights)
        content = safetensors.numpy.save(weights)
        return _bundles.Bundle(made.replace_file(bundle, "shared.safetensors", content))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda w: w.pop("trunk.dense_1/bias"), "no value for 1 of its"),
            (lambda w: w.update(more=np.zeros(2)), "1 values .* no place for.*'more'"),
            (
                lambda w: w.update({"trunk.dense_1/bias": np.zeros(3, "float32")}),
                r"has the shape \(8,\) in the config and \(3,\) in the weights",
            ),
            (
                lambda w: w.update({"trunk.dense_1/bias": np.zeros(8, "float64")}),
                "has the type float32 in the config and float64 in the weights",
            ),
            (
                lambda w: w.update({"heads.click.logits/bias": np.zeros(1)}),
                "stores 'heads.click.logits/bias' a second time",
            ),
        ],
        ids=["missing", "left", "shape", "type", "twice"],
    )
    def test_weights(self, bundle, change, message):
        with pytest.raises(BundleError, match=message):
            made.build(self.rewrite(bundle, change))

    def test_other_answers(self, bundle):
        def change(weights):
            weights["sharing.experts/kernel_1"] += 1.0

        again = self.rewrite(bundle, change)
        with pytest.raises(BundleError, match=r"answers 'c.*' otherwise than the"):
            _bundles.check_golden(made.build(again), again)

    def test_other_outputs(self, bundle):
        _, golden = bundle.golden()
        for names, message in (
            (["other"], r"answers \['other'\]; expected \['click', 'color'\]"),
            (["click", "color"], r"answers 'click' in the shape \(4,\)"),
        ):
            found = {name: np.zeros(4) for name in names}
            with pytest.raises(BundleError, match=message):
                compare(golden, found, "of a test")

    def test_config_of_no_model(self, bundle):
        folder = made.replace_file(
            bundle,
            "config.json",
            b'{"class_name": "Identity", "module": "keras.layers", "config": {}}',
        )
        with pytest.raises(BundleError, match=r"can't be built: it describes a Id"):
            made.build(_bundles.Bundle(folder))

    def test_no_bundle(self, tmp_path):
        with pytest.raises(BundleError, match=r"No bundle is in"):
            _bundles.Bundle(tmp_path)

    def test_file_that_is_not_there(self, bundle):
        with pytest.raises(BundleError, match=r"has no card.md"):
            bundle.read("card.md")

    def test_one_byte(self, bundle):
        path = bundle.folder / "shared.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(BundleError, match=r"is not the file that was published"):
            made.build(bundle)
        with pytest.raises(BundleError, match=r"is not the file that was published"):
            bundle.verify()

    def test_cut_off(self, bundle):
        path = bundle.folder / "golden.npz"
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(BundleError, match=r"is not the file that was published"):
            bundle.golden()

    def test_file_that_nobody_listed(self, bundle):
        (bundle.folder / "heads" / "more.safetensors").write_bytes(b"")
        with pytest.raises(BundleError, match=r"holds heads/more.safetensors, "):
            bundle.verify()

    def test_manifest_of_another_bundle(self, bundle):
        with pytest.raises(BundleError, match=r"is not the file that was published"):
            _bundles.Bundle(bundle.folder, sha256="0" * 64)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda d: d.pop("license"), "lacks: license"),
            (lambda d: d.update(licence="MIT"), "has unknown fields: licence"),
            (lambda d: d.update(version="1"), "version must be a int. Received: '1'"),
            (lambda d: d.update(version=True), "version must be a int. Received: True"),
            (lambda d: d.update(papers="one"), "papers must be a list"),
            (lambda d: d.update(recipe=[]), "recipe must be an object"),
            (lambda d: d["inputs"][0].update(shape=["a"]), r"shape\[0\] must be a int"),
            (lambda d: d["datasets"][0].update(options=3), "options must be a dict"),
            (lambda d: d["files"].append(d["files"][0]), "lists a file twice"),
            (lambda d: d["files"][0].update(sha256="x"), "a SHA-256 of 64 hex digits"),
            (lambda d: d["files"][0].update(size=-1), "a SHA-256 of 64 hex digits and"),
        ],
    )
    def test_manifest(self, bundle, change, message):
        folder = made.change_manifest(bundle, change)
        with pytest.raises(BundleError, match=message):
            _bundles.Bundle(folder)


def test_every_field_of_the_manifest_is_explained():
    for cls in (_bundles.WeightsInfo, _bundles.MetricInfo, _bundles.Entry):
        for field in dataclasses.fields(cls):
            assert field.name in cls.__doc__
