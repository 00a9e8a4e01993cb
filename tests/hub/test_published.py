"""What is published in `models/` stays as it was, and is what its index says."""

import shutil
import subprocess
import sys

import pytest

from mtlzoo import _bundles, hub

MODELS = _bundles.project_models()
ENTRIES = _bundles.parse_index((MODELS / "index.json").read_bytes(), "index.json")


def test_index_is_current():
    found = (MODELS / "index.json").read_text("utf-8")
    assert found == _bundles.make_index(MODELS), "run `python -m mtlzoo.hub models`"


def test_index_is_written_by_a_command(models, tmp_path):
    shutil.copytree(models, tmp_path / "models")
    (tmp_path / "models" / "index.json").unlink()
    command = [sys.executable, "-m", "mtlzoo.hub", str(tmp_path / "models")]
    subprocess.run(command, check=True, capture_output=True)
    found = (tmp_path / "models" / "index.json").read_text("utf-8")
    assert found == (models / "index.json").read_text("utf-8")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda one: f"{one.name}-{one.version}")
class TestEveryBundle:
    def bundle(self, entry):
        folder = MODELS / entry.name / str(entry.version)
        return _bundles.Bundle(folder, sha256=entry.manifest.sha256)

    def test_is_as_published(self, entry):
        """Every file has the hash that the manifest and the index say."""
        bundle = self.bundle(entry)
        bundle.verify()
        hub._verify.check_saved_models(bundle)
        assert bundle.config()

    def test_card_says_what_the_manifest_says(self, entry):
        bundle = self.bundle(entry)
        text = bundle.read("card.md").decode("utf-8")
        assert f"# {entry.name}, version {entry.version}" in text
        assert entry.license in text
        for metric in bundle.info.metrics:
            assert f"{metric.value:.4f}" in text


def with_slow_ones(entries):
    """Mark what stands on a base: to build such a model takes seconds each time."""
    return [
        pytest.param(one, id=one.name, marks=[pytest.mark.slow] if one.base else [])
        for one in entries
    ]


@pytest.mark.parametrize("entry", with_slow_ones(ENTRIES))
def test_answers_as_published(entry):
    bundle = _bundles.find(entry.name, entry.version)
    _bundles.check_golden(_bundles.build_model(bundle), bundle)
