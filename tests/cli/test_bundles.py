"""`fetch`, `verify`, `cache`, `card`, `publish`, and names of bundles elsewhere."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from bundles import made
from click.testing import CliRunner

import mtlzoo
from mtlzoo import _bundles
from mtlzoo._bundles import _home
from mtlzoo.cli import main

RUN = ["synthetic", "shared_bottom", "-d", "num_samples=300", "-d", "dimension=4"]
RUN += ["--trunk", "mlp", "-t", "units=8,4", "--epochs", "1", "--seed", "3"]


def run(*arguments):
    arguments = [str(one) for one in arguments]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def fails(*arguments):
    result = run(*arguments)
    assert result.exit_code == 1
    return result.stderr


def data(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    result = run("train", *RUN, "--output", folder)
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def published(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    prose = folder / "prose.md"
    prose.write_text("Written by hand.", "utf-8")
    result = run(
        *("publish", trained, "mlp.synthetic", "--license", "CC0-1.0"),
        *("--description", "Two made-up tasks.", "--models", folder / "models"),
        *("--prose", prose, "--limits", "Nothing real."),
    )
    assert result.exit_code == 0, result.stderr
    return folder / "models" / "mlp.synthetic"


class TestPublish:
    def test_bundle(self, published):
        info = _bundles.find(published).info
        assert info.license == "CC0-1.0"
        assert info.datasets[0].options == {"num_samples": 300, "dimension": 4}
        assert {one.task for one in info.metrics} == {"y1", "y2"}
        better = {one.metric: one.higher_is_better for one in info.metrics}
        assert better == {"mae": False, "r2": True}
        assert info.recipe.command == (
            "mtlzoo train synthetic shared_bottom --trunk mlp --dataset-option "
            "num_samples=300 --dataset-option dimension=4 --trunk-option "
            "'units=[8, 4]' --epochs 1 --seed 3"
        )

    def test_card(self, published):
        text = run("card", published).stdout
        assert text.startswith("---\nlicense:")
        assert text.rstrip().endswith("Written by hand.")
        assert "Nothing real." in text
        assert data("card", published)["name"] == "mlp.synthetic"

    def test_evaluate(self, published):
        result = run("evaluate", published)
        assert result.exit_code == 0, result.stderr
        title = "as published and as measured now"
        assert title in " ".join(result.stdout.split())  # the folder may be long
        found = data("evaluate", published / "1")
        assert all(one["agrees"] for one in found)

    def test_evaluate_what_is_not_true(self, published, tmp_path):
        shutil.copytree(published, tmp_path / "mlp.synthetic")
        bundle = made.in_folder(tmp_path, "mlp.synthetic")

        def better(found):
            found["metrics"][0]["value"] -= 0.01

        made.change_manifest(bundle, better)
        assert "measured otherwise than published" in fails("evaluate", bundle.folder)

        def other(found):
            found["metrics"][0]["metric"] = "auc"

        made.change_manifest(bundle, other)
        assert "measures no 'auc' of 'y1'" in fails("evaluate", bundle.folder)

        def elsewhere(found):
            found["metrics"][0]["dataset"] = "adult"

        made.change_manifest(bundle, elsewhere)
        assert "which isn't among its datasets" in fails("evaluate", bundle.folder)

    def test_evaluate_takes_no_rows(self, published):
        result = run("evaluate", published, "--split", "train")
        assert result.exit_code == 2
        assert "leave out --dataset and --split" in result.stderr

    def test_export(self, published, tmp_path):
        result = run("export", published, tmp_path / "serving", "--no-warmup")
        assert result.exit_code == 0, result.stderr
        assert (tmp_path / "serving" / "1" / "saved_model.pb").is_file()

    def test_keras_file(self, trained, tmp_path):
        told = ("--license", "MIT", "--description", "d", "--models", tmp_path)
        file = trained / "model.keras"
        assert "Add --dataset NAME" in fails("publish", file, "a.b", *told)
        message = fails("publish", tmp_path / "nothing", "a.b", *told)
        assert "Neither a run nor a .keras file" in message

    def test_license_is_required(self, trained):
        result = run("publish", trained, "a.b", "--description", "d")
        assert result.exit_code == 2
        assert "--license" in result.stderr


class TestList:
    def test_pretrained(self, zoo):
        found = data("list", "pretrained", "*.resnet", "--task", "cat")
        assert [one["name"] for one in found] == ["cat.resnet"]
        assert found[0]["kind"] == "pretrained"
        result = run("list", "pretrained")
        assert "mmoe.table" in result.stdout
        assert "mtlzoo card NAME" in result.stderr
        assert "Nothing matches" in run("list", "--license", "GPL*").stderr
        assert run("list", "tasks", "--task", "cat").exit_code == 2

    def test_everything(self, zoo):
        names = [one["name"] for one in data("list")]
        assert "mmoe.table" in names
        assert "mmoe" in names

    def test_show(self, zoo):
        result = run("show", "cat.resnet")
        assert "stands on:" in result.stdout
        assert "auc 0.7500" in result.stdout
        assert 'mtlzoo.load("cat.resnet")' in result.stderr
        assert data("show", "mmoe.table")[0]["license"] == "Apache-2.0"
        assert "Did you mean 'mmoe.table'" in fails("show", "mmoe.tabel")

    def test_needs_no_tensorflow(self):
        code = (
            "import sys\n"
            "from mtlzoo.cli import main\n"
            "main(['list', 'pretrained'], standalone_mode=False)\n"
            "heavy = {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
            "sys.exit(f'imported {heavy}' if heavy else 0)\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


class TestFetch:
    def test_to_a_folder_for_another_machine(self, zoo, tmp_path, monkeypatch):
        result = run("fetch", "cat.*", "mmoe.table", "--to", tmp_path / "usb")
        assert result.exit_code == 0, result.stderr
        found = sorted(
            path.parent.parent.name for path in tmp_path.rglob("bundle.json")
        )
        assert found == ["cat.resnet", "mmoe.table", "resnet.photos"]
        monkeypatch.setattr(_home, "project_models", lambda: tmp_path / "none")
        monkeypatch.setenv("MTLZOO_HOME", str(tmp_path / "usb"))
        monkeypatch.setenv("MTLZOO_OFFLINE", "1")
        model = mtlzoo.load("cat.resnet", check_golden=True)
        assert set(model.output) == {"cat"}

    def test_dry_run(self, zoo, tmp_path):
        found = data("fetch", "mmoe.table", "--to", tmp_path / "usb", "--dry-run")
        assert found[0]["to_fetch"] == 0
        assert found[0]["size"] > 10_000
        assert not (tmp_path / "usb").exists()
        assert "kB" in run("fetch", "mmoe.table", "--dry-run").stdout

    def test_unknown(self, zoo):
        assert "There is no bundle 'x*'" in fails("fetch", "x*")
        assert "Did you mean 'mmoe.table'" in fails("fetch", "mmoe.tabel")

    def test_folder_that_is_a_file(self, zoo, tmp_path):
        (tmp_path / "usb").mkdir()
        (tmp_path / "usb" / "mmoe.table").write_text("")
        message = fails("fetch", "mmoe.table", "--to", tmp_path / "usb")
        assert "Can't write in" in message


class TestVerify:
    def test_sound(self, zoo):
        found = data("verify", "mmoe.table", "cat.resnet")
        assert [one["problem"] for one in found] == ["", ""]

    def test_damaged(self, zoo, tmp_path):
        shutil.copytree(zoo / "mmoe.table", tmp_path / "mmoe.table")
        (tmp_path / "mmoe.table" / "1" / "golden.npz").write_bytes(b"")
        result = run("verify", tmp_path / "mmoe.table", "--no-golden")
        assert result.exit_code == 1
        assert "1 of 1 are not sound" in result.stderr
        assert "is not the file that was published" in result.stderr
        assert "not sound" in result.stdout


class TestCache:
    @pytest.fixture
    def home(self, zoo, tmp_path):
        for name in ("mmoe.table", "cat.resnet"):
            shutil.copytree(zoo / name, tmp_path / "cache" / name)
        return tmp_path / "cache"

    def test_ls(self, home):
        (home / "cat.resnet" / "1" / "card.md").unlink()
        (home / "mmoe.table" / "1" / "golden.npz").write_bytes(b"")
        found = {one["name"]: one["state"] for one in data("cache", "ls")}
        assert found == {"cat.resnet": "in part", "mmoe.table": "damaged: golden.npz"}
        assert "in part" in run("cache", "ls").stdout

    def test_rm(self, home):
        assert "cat.resnet/1" in run("cache", "rm", "cat.resnet", "--dry-run").stderr
        assert (home / "cat.resnet").exists()
        assert run("cache", "rm", "cat.resnet", "--yes").exit_code == 0
        assert not (home / "cat.resnet").exists()
        assert "is not in the cache. There: mmoe.table" in fails("cache", "rm", "x.y")

    def test_prune(self, home):
        left = home / "mmoe.table" / "1" / "tmpabcd1234"
        left.write_bytes(b"half")
        (home / "cat.resnet" / "1" / "bundle.json").write_text("{}")
        assert "tmpabcd1234" not in run("cache", "prune", "--dry-run").stderr
        assert "cat.resnet" not in run("cache", "prune", "--dry-run").stderr
        os.utime(left, (0, 0))
        os.utime(home / "cat.resnet" / "1", (0, 0))
        assert run("cache", "prune", "--yes").exit_code == 0
        assert not left.exists()
        assert not (home / "cat.resnet").exists()
        assert (home / "mmoe.table" / "1" / "golden.npz").exists()
        assert "nothing to remove" in run("cache", "prune").stderr

    def test_empty(self, zoo):
        assert "Nothing is in" in run("cache", "ls").stderr
