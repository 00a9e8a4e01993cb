"""Models by name: whole, with other heads, and put together on one base."""

import logging
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from bundles import made

import mtlzoo
from mtlzoo import hub, tasks
from mtlzoo._bundles import _home
from mtlzoo.errors import BundleError, OptionError, TaskError, UnknownNameError


class TestLoad:
    def test_by_name(self, zoo, caplog):
        with caplog.at_level(logging.INFO, "mtlzoo.hub"):
            model = mtlzoo.load("mmoe.table", check_golden=True)
        assert set(model.predict(made.table_rows())) == {"click", "color"}
        assert str(model.load_report) == (
            "mmoe.table, version 1\n  loaded    shared, heads.click, heads.color"
        )
        assert "loaded    shared" in caplog.text

    def test_continues_to_train(self, zoo):
        model = mtlzoo.load("mmoe.table")
        labels = {"click": np.array([0, 1, 0, 1]), "color": np.array([0, 1, 1, 0])}
        history = model.fit(made.table_rows(), labels, epochs=2, verbose=0).history
        assert {"click_loss", "color_loss"} <= set(history)

    @pytest.mark.parametrize("kind", [str, Path])
    def test_folder(self, zoo, kind):
        model = mtlzoo.load(kind(zoo / "mmoe.table"))
        assert model.load_report.name == "mmoe.table"
        assert hub.locate(kind(zoo / "mmoe.table" / "1")) == zoo / "mmoe.table" / "1"

    def test_bare_name_is_no_folder(self, zoo, monkeypatch):
        monkeypatch.chdir(zoo)
        (zoo / "x.y").mkdir(exist_ok=True)
        with pytest.raises(UnknownNameError, match=r"There is no bundle 'x\.y'"):
            mtlzoo.load("x.y")
        with pytest.raises(UnknownNameError, match=r"A folder is passed as a pathlib"):
            mtlzoo.load("mmoe.table/1")

    def test_unknown(self, zoo):
        with pytest.raises(UnknownNameError, match=r"Did you mean 'mmoe\.table'"):
            mtlzoo.load("mmoe.tabel")
        with pytest.raises(UnknownNameError, match=r"no version 7 of 'mmoe.table'. Kn"):
            mtlzoo.load("mmoe.table", version=7)
        with pytest.raises(BundleError, match="it has no version 7"):
            mtlzoo.load(zoo / "mmoe.table", version=7)
        with pytest.raises(BundleError, match="No bundle is in"):
            mtlzoo.load(zoo / "nothing")

    def test_newest(self, zoo, tmp_path, monkeypatch):
        made.publish(tmp_path)
        made.publish(tmp_path, changes={"version": 2, "description": "Better."})
        monkeypatch.setattr(_home, "project_models", lambda: tmp_path)
        assert mtlzoo.load("mmoe.table").load_report.version == 2
        assert mtlzoo.load("mmoe.table", version=1).load_report.version == 1
        assert mtlzoo.load(tmp_path / "mmoe.table").load_report.version == 2

    def test_tampered_where_it_was_installed(self, zoo, tmp_path, monkeypatch):
        shutil.copytree(zoo, tmp_path / "models")
        bundle = made.in_folder(tmp_path / "models", "mmoe.table")
        made.change_manifest(bundle, lambda data: data.update(description="Mine."))
        monkeypatch.setattr(
            _home,
            "project_models",
            lambda: tmp_path / "models",
        )
        with pytest.raises(BundleError, match=r"bundle.json' is not the file that was"):
            mtlzoo.load("mmoe.table")


class TestHeads:
    def test_replaced(self, zoo):
        whole = mtlzoo.load("mmoe.table")
        size = tasks.Regression("size")
        model = mtlzoo.load("mmoe.table", heads={"click": size})
        rows = made.table_rows()
        found = model.predict(rows)
        assert set(found) == {"size", "color"}
        np.testing.assert_allclose(
            found["color"], whole.predict(rows)["color"], atol=1e-6
        )
        assert [task.name for task in model.tasks] == ["color", "size"]
        assert model.load_report.replaced == (("click", "size"),)
        assert "replaced  click by size (untrained)" in str(model.load_report)
        model.fit(rows, {"size": np.arange(4.0)}, verbose=0)
        assert set(model.representations(rows)) == {"size", "color"}

    def test_left_out(self, zoo):
        model = mtlzoo.load("mmoe.table", heads={"click": None})
        assert set(model.output) == {"color"}
        assert repr(model.load_report).endswith("left out  click")

    def test_refused(self, zoo):
        with pytest.raises(UnknownNameError, match=r"no head 'clck' of 'mmoe.table'"):
            mtlzoo.load("mmoe.table", heads={"clck": None})
        with pytest.raises(BundleError, match="needs at least one task"):
            mtlzoo.load("mmoe.table", heads={"click": None, "color": None})
        tags = tasks.SequenceTagging("tags", 3)
        with pytest.raises(TaskError, match="reads sequence features"):
            mtlzoo.load("mmoe.table", heads={"click": tags})

    def test_not_by_build(self, zoo, tmp_path):
        x = keras.Input((2,), name="x")
        outputs = {"click": keras.layers.Dense(1, activation="sigmoid", name="d")(x)}
        model = mtlzoo.MultiTaskModel.from_functional(
            keras.Model({"x": x}, outputs), [tasks.Binary("click")]
        )
        made.publish(tmp_path, model, {"x": np.zeros((2, 2), "float32")}, "own.model")
        with pytest.raises(OptionError, match=r"Only models of mtlzoo\.build"):
            mtlzoo.load(tmp_path / "own.model", heads={"click": tasks.Binary("buy")})


class TestLoadHead:
    def test_four_heads_trained_apart(self, zoo):
        rows = made.photo_rows(8)
        alone = {
            name: mtlzoo.load(f"{name}.resnet").predict(rows)[name]
            for name in ("cat", "dog", "owl", "fox")
        }
        model = mtlzoo.load("cat.resnet")
        before = model.count_params()
        for name in ("dog", "owl", "fox"):
            model = mtlzoo.load_head(f"{name}.resnet", onto=model)
        made.assert_same(alone, model.predict(rows), 1e-5)
        head = sum(
            w.numpy().size for w in model.weights if w.path.startswith("heads.dog")
        )
        assert model.count_params() == before + 3 * head
        assert model.load_report.loaded == ("heads.fox",)
        assert model.load_report.base == "resnet.photos 1"

    def test_saves_and_trains(self, zoo, tmp_path):
        model = mtlzoo.load_head("dog.resnet", onto=mtlzoo.load("cat.resnet"))
        rows = made.photo_rows()
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        made.assert_same(model.predict(rows), again.predict(rows))
        assert set(model.representations(rows)) == {"cat", "dog"}
        history = model.fit(rows, {"dog": np.array([0, 1, 0, 1])}, verbose=0).history
        assert np.isfinite(history["dog_loss"]).all()

    def test_refused(self, zoo):
        model = mtlzoo.load("cat.resnet")
        with pytest.raises(TaskError, match="has an output 'cat' already"):
            mtlzoo.load_head("cat.resnet", onto=model)
        with pytest.raises(BundleError, match="stands on no base"):
            mtlzoo.load_head("mmoe.table", onto=model)
        with pytest.raises(UnknownNameError, match=r"no head 'dgo' of 'dog.resnet'"):
            mtlzoo.load_head("dog.resnet", onto=model, tasks=["dgo"])

    def test_other_base(self, zoo):
        with pytest.raises(BundleError, match="'dog' was trained on another base"):
            mtlzoo.load_head("dog.resnet", onto=made.photo_model("cat"))
        with pytest.raises(BundleError, match="needs the input 'photo', which"):
            mtlzoo.load_head("dog.resnet", onto=mtlzoo.load("mmoe.table"))

    def test_trained_base(self, zoo):
        model = mtlzoo.load("cat.resnet")
        model.fit(made.photo_rows(), {"cat": np.array([0, 1, 0, 1])}, verbose=0)
        with pytest.raises(BundleError, match="'dog' was trained on another base"):
            mtlzoo.load_head("dog.resnet", onto=model)

    def test_other_input(self, zoo):
        other = mtlzoo.build(
            "shared_bottom",
            inputs={"photo": (24, 24, 3)},
            tasks=[tasks.Binary("cat")],
            trunk=made.TRUNKS["resnet"][1](),
        )
        made.stand_on(other, made.in_folder(zoo, "resnet.photos"))
        with pytest.raises(BundleError, match=r"has the shape \(24, 24, 3\)"):
            mtlzoo.load_head("dog.resnet", onto=other)
        named = mtlzoo.build(
            "shared_bottom",
            inputs={"picture": (16, 16, 3)},
            tasks=[tasks.Binary("cat")],
            trunk=made.TRUNKS["resnet"][1](),
        )
        made.stand_on(named, made.in_folder(zoo, "resnet.photos"))
        with pytest.raises(BundleError, match="needs the input 'photo', which"):
            mtlzoo.load_head("dog.resnet", onto=named)


class TestList:
    def test_filters(self, zoo):
        everything = mtlzoo.list_pretrained()
        assert everything == sorted(everything)
        assert "mmoe.table" in everything
        assert mtlzoo.list_pretrained("*.resnet", task="dog") == ["dog.resnet"]
        assert mtlzoo.list_pretrained(task="multiclass") == ["mmoe.table"]
        assert mtlzoo.list_pretrained(["mmoe.*", "fox.*"]) == [
            "fox.resnet",
            "mmoe.table",
        ]
        assert mtlzoo.list_pretrained(data="toy") == everything
        assert mtlzoo.list_pretrained(data="adult") == []
        assert mtlzoo.list_pretrained(license="Apache-*") == everything
        assert mtlzoo.list_pretrained(license="GPL*") == []
        assert mtlzoo.list_pretrained(max_size="1 kB") == []
        assert mtlzoo.list_pretrained(max_size=10**9) == everything

    @pytest.mark.parametrize("size", ["big", "5 parsecs", "-1"])
    def test_no_size(self, zoo, size):
        with pytest.raises(mtlzoo.errors.OptionError, match="such as '5 MB'"):
            mtlzoo.list_pretrained(max_size=size)
