"""Publishing: what must be said, and what the card says."""

import shutil

import pytest
from bundles import made

import mtlzoo
from mtlzoo import _bundles, hub
from mtlzoo.errors import BundleError
from mtlzoo.hub._card import prose_of


class TestPublish:
    def test_with_saved_model(self, tmp_path):
        model = made.table_model()
        rows = made.table_rows()
        bundle = made.publish(tmp_path, model, rows, saved_model=True)
        with mtlzoo.export.load(bundle.folder / "saved_model") as exported:
            made.assert_same(model.predict(rows), exported(rows), 1e-5)
        bundle.verify()
        assert "saved_model/1/saved_model.pb" in {one.path for one in bundle.info.files}
        assert not list(tmp_path.rglob(".mtlzoo-*"))
        assert "| size | 0 bytes |" not in bundle.read("card.md").decode()

    def test_writes_the_index(self, tmp_path):
        made.publish(tmp_path)
        first = (tmp_path / "index.json").read_text("utf-8")
        assert first == _bundles.make_index(tmp_path)
        made.publish(tmp_path, changes={"version": 2})
        assert (tmp_path / "index.json").read_text("utf-8") != first

    def test_metric_of_each_task(self, tmp_path):
        metrics = (hub.MetricInfo("click", "auc", 0.75, "toy"),)
        with pytest.raises(BundleError, match=r"metric of each task.*Missing: color\."):
            made.publish(tmp_path, changes={"metrics": metrics})

    @pytest.mark.parametrize("license_", ["free", "Apache 2", ""])
    def test_license(self, tmp_path, license_):
        with pytest.raises(BundleError, match="must be an SPDX expression"):
            made.publish(tmp_path, changes={"license": license_})

    def test_license_is_written_as_spdx_has_it(self, tmp_path):
        bundle = made.publish(tmp_path, changes={"license": "apache-2.0"})
        assert bundle.info.license == "Apache-2.0"

    def test_folder_of_another_name(self, models, tmp_path):
        shutil.copytree(models / "mmoe.table", tmp_path / "ple.table")
        with pytest.raises(BundleError, match=r"Its folder must have that name"):
            hub.write_index(tmp_path)


class TestCard:
    def test_says_what_the_manifest_says(self):
        metric = hub.MetricInfo(
            "click", "auc", 0.7512, "toy", mean=0.75, std=0.01, seeds=5
        )
        alone = hub.MetricInfo("click", "auc", 0.7401, "toy")
        info = made.info(
            metrics=(metric,),
            single_task_metrics=(alone,),
            delta_m=-1.5,
            delta_m_std=0.25,
            use="To test.",
            limits="No people | in it.",
            papers=("Ma et al., KDD 2018",),
            tasks=(hub.TaskInfo("click", "multiclass", tuple("abcdefghijkl")),),
            inputs=(hub.InputInfo("photo", (16, None, 3), "float32"),),
            base=hub.BaseInfo("resnet.photos", 1, "sha256:0", "trunk."),
            recipe=hub.RecipeInfo("mtlzoo train", "abc123", 3),
        )
        text = hub.card(info, "By hand.")
        for expected in (
            'license: "apache-2.0"',
            'base_model: "resnet.photos"',
            "| `click` | multiclass | a, b, c, d, e, f, g, h, i, j, … (12 in all) |",
            "| `photo` | 16 x any x 3 | float32 |",
            "| `click` | auc ↑ | 0.7512 (0.7500 ± 0.0100) | 0.7401 | toy, test |",
            "over 5 trainings",
            "-1.50 ± 0.25 %",
            "No people | in it.",
            "- Ma et al., KDD 2018",
            "| commit | abc123 |",
            "| seed | 3 |",
            "| stands on | resnet.photos, version 1 |",
            "mtlzoo.load_head",
        ):
            assert expected in text
        assert prose_of(text) == "By hand."

    def test_plain(self):
        text = hub.card(made.info(metrics=()))
        assert "Nothing: it is a base for other models." in text
        assert prose_of(text) == ""
        text = hub.card(made.info())
        assert "| task | metric | these weights | rows |" in text
        assert "In brackets" not in text

    def test_comes_with_the_bundle(self, models):
        bundle = made.in_folder(models, "cat.resnet")
        text = bundle.read("card.md").decode()
        assert text.startswith("---\n")
        assert "| `cat` | auc ↑ | 0.7500 | toy, test |" in text
