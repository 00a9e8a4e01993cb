"""`mtlzoo train --recipe`."""

import json

import keras
import pytest
import yaml
from click.testing import CliRunner

from mtlzoo import datasets, hub
from mtlzoo._bundles import Bundle
from mtlzoo.cli import main
from mtlzoo.cli._recipe import read
from mtlzoo.cli._settings import Settings
from mtlzoo.errors import DataError, OptionError, UnknownNameError

RECIPE = {
    "name": "mmoe.synthetic",
    "version": 1,
    "description": "Two regressions.",
    "license": "Apache-2.0",
    "seeds": 2,
    "run": {
        "dataset": "synthetic",
        "dataset_options": {"num_samples": 200, "dimension": 4},
        "architecture": "mmoe",
        "options": {"num_experts": 2, "expert_units": [4]},
        "trunk": "mlp",
        "trunk_options": {"units": [8]},
        "head": {"units": [4]},
        "batch_size": 64,
        "epochs": 3,
        "learning_rate": 0.01,
        "schedule": "cosine",
        "patience": 2,
    },
    "provenance": "It is generated.",
    "use": "For tests.",
    "limits": "For nothing else.",
    "papers": ["https://doi.org/10.1145/3219819.3220007"],
}


def write(folder, **changes):
    recipe = {**RECIPE, **changes}
    recipe = {key: value for key, value in recipe.items() if value is not None}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), "utf-8")
    return path


def run(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder where a recipe was run and published, and what that said."""
    folder = tmp_path_factory.mktemp("recipe")
    options = ["--output", folder / "runs", "--publish", folder / "models"]
    done = run("train", "--recipe", write(folder), *options, "--json")
    assert done.exit_code == 0, done.output
    return folder, json.loads(done.stdout)


class TestRead:
    def test_entries(self, tmp_path):
        recipe = read(write(tmp_path))
        assert recipe.name == "mmoe.synthetic"
        assert recipe.run == Settings(**RECIPE["run"])
        assert recipe.baseline
        assert recipe.papers == tuple(RECIPE["papers"])

    def test_cells(self, tmp_path):
        cells = read(write(tmp_path, seeds=3)).cells
        assert [(one.architecture, one.seed) for one in cells] == [
            (name, seed) for seed in range(3) for name in ("mmoe", "single_task")
        ]
        assert {one.trunk_options["units"][0] for one in cells} == {8}
        alone = read(write(tmp_path, baseline=False)).cells
        assert {one.architecture for one in alone} == {"mmoe"}

    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"sedes": 2}, DataError, r"no entry 'sedes' of a recipe .*'seeds'"),
            ({"limits": None}, DataError, r"needs the entry 'limits'"),
            ({"seeds": "5"}, DataError, r"'seeds' must be a whole number.*'5'"),
            ({"seeds": True}, DataError, r"'seeds' must be a whole number.*True"),
            ({"seeds": 0}, DataError, r"must be at least 1\. Received: seeds=0"),
            ({"baseline": "no"}, DataError, r"'baseline' must be true or false"),
            ({"run": "adult"}, DataError, r"'run' must be a mapping"),
            ({"run": {"dataset": "adult"}}, DataError, r"needs .* 'architecture'"),
            (
                {"run": {**RECIPE["run"], "seed": 1}},
                DataError,
                r"must not set `seed`",
            ),
            (
                {"run": {**RECIPE["run"], "learning_rate": "fast"}},
                DataError,
                r"'learning_rate' must be a number",
            ),
            (
                {"run": {**RECIPE["run"], "patience": 2.5}},
                DataError,
                r"'patience' must be a whole number or null",
            ),
            (
                {"run": {**RECIPE["run"], "tasks": "y1"}},
                DataError,
                r"'tasks' must be a list or null",
            ),
            (
                {"run": {**RECIPE["run"], "architecture": "mmoo"}},
                UnknownNameError,
                r"no architecture 'mmoo'",
            ),
            (
                {"run": {**RECIPE["run"], "schedule": "cosin"}},
                OptionError,
                r"no schedule 'cosin'.*'cosine'",
            ),
        ],
    )
    def test_refusals(self, tmp_path, changes, error, message):
        with pytest.raises(error, match=message):
            read(write(tmp_path, **changes))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"- name", r"must be a mapping\. Received: list"),
            (b"name: [", r"is not YAML"),
            (b"\xff", r"is not YAML"),
            (b"name: !!python/object/apply:os.system [ls]", r"is not YAML"),
            (None, r"can't be read: No such file"),
        ],
    )
    def test_no_recipe(self, tmp_path, content, message):
        path = tmp_path / "recipe.yaml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read(path)


def test_trains_all_and_goes_on_where_it_stopped(trained):
    path, folder, found = trained[0] / "recipe.yaml", trained[0] / "runs", trained[1]
    assert [row["name"] for row in found["table"]] == ["single_task", "mmoe"]
    assert all(row["seeds"] == 2 for row in found["table"])
    records = {
        path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")
    }
    assert sorted(records) == [
        f"{name}.equal.{seed}" for name in ("mmoe", "single_task") for seed in (0, 1)
    ]
    losses = [records[f"mmoe.equal.{seed}"]["validation"]["loss"] for seed in (0, 1)]
    assert found["seed"] == losses.index(min(losses))
    # The model that is kept is the one that was measured.
    assert sorted(path.name for path in folder.glob("*.keras")) == [
        "mmoe.equal.0.keras",
        "mmoe.equal.1.keras",
    ]
    model = keras.saving.load_model(found["model"])
    assert model.get_layer("heads.y1.dense_1").units == 4

    kept = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = run("train", "--recipe", path, "--output", folder)
    assert again.exit_code == 0, again.output
    assert "mmoe" in again.stdout
    assert f"{found['seed']} has the lowest validation loss" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == kept


def test_some_tasks_without_a_baseline(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {**RECIPE["run"], "tasks": ["y2"], "epochs": 1}
    path = write(tmp_path, run=settings, baseline=False, seeds=1)
    done = run("train", "--recipe", path)
    assert done.exit_code == 0, done.output
    assert "y2" in done.stdout
    assert "y1" not in done.stdout
    assert (tmp_path / "runs/mmoe.synthetic/mmoe.equal.0.keras").is_file()


def test_stops_early_and_takes_the_best_weights(tmp_path):
    """A learning rate this high makes the validation loss rise at once."""
    settings = {
        **RECIPE["run"],
        "schedule": "constant",
        "learning_rate": 100.0,
        "epochs": 30,
        "patience": 1,
    }
    path = write(tmp_path, run=settings, baseline=False, seeds=1)
    done = run("train", "--recipe", path, "--output", tmp_path / "runs")
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "runs/mmoe.equal.0.json").read_text())
    assert record["epochs"] < 30


def test_publishes_the_best_seed_with_its_recipe(trained):
    path, models, found = trained[0] / "recipe.yaml", trained[0] / "models", trained[1]
    folder = models / "mmoe.synthetic" / "1"
    assert (folder / "recipe.yaml").read_bytes() == path.read_bytes()
    bundle = Bundle(folder)
    bundle.verify()
    info = bundle.info
    assert info.recipe.seed == found["seed"]
    assert info.recipe.command.endswith("models/mmoe.synthetic/1/recipe.yaml")
    assert (info.use, info.limits) == ("For tests.", "For nothing else.")
    assert info.datasets[0].options == RECIPE["run"]["dataset_options"]
    assert info.delta_m == pytest.approx(found["table"][1]["delta_m"][0])
    assert [(one.task, one.metric, one.higher_is_better) for one in info.metrics] == [
        (task, *metric)
        for task in ("y1", "y2")
        for metric in (("mae", False), ("r2", True))
    ]
    first = info.metrics[0]
    assert first.value == found["metrics"]["test"]["y1_mae"]
    spread = found["table"][1]["metrics"]["y1_mae"]
    assert [first.mean, first.std, first.seeds] == pytest.approx([*spread, 2])
    alone = found["table"][0]["metrics"]["y1_mae"]
    assert info.single_task_metrics[0].mean == pytest.approx(alone[0])

    model = hub.load(folder, check_golden=True)
    test = datasets.load("synthetic", **RECIPE["run"]["dataset_options"]).test
    measured = model.evaluate(test, return_dict=True, verbose=0)
    for one in info.metrics:
        assert measured[f"{one.task}_{one.metric}"] == pytest.approx(one.value, 1e-4)

    options = ["--output", trained[0] / "runs", "--publish", models]
    again = run("train", "--recipe", path, *options)
    assert again.exit_code == 1
    assert "is published already, and a version never changes" in again.stderr


class TestFrozenBase:
    """Heads that are trained on features which are computed once."""

    @pytest.fixture
    def settings(self, tmp_path):
        keras.utils.set_random_seed(1)
        x = keras.Input((4,), name="x")
        base = keras.Model(x, keras.layers.Dense(8)(x))
        base.save(tmp_path / "base.keras")
        return {
            **RECIPE["run"],
            "architecture": "shared_bottom",
            "options": {},
            "trunk": "pretrained",
            "trunk_options": {
                "base": str(tmp_path / "base.keras"),
                "trainable": False,
            },
            "cache_features": True,
        }

    def test_the_whole_model_is_as_good_as_its_heads_were(self, tmp_path, settings):
        path = write(tmp_path, run=settings, baseline=False, seeds=2)
        done = run("train", "--recipe", path, "--output", tmp_path / "runs", "--json")
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        model = keras.saving.load_model(found["model"])
        data = datasets.load("synthetic", **settings["dataset_options"])
        measured = model.evaluate(data.test, return_dict=True, verbose=0)
        for name, value in found["metrics"]["test"].items():
            assert measured[name] == pytest.approx(value, rel=1e-4), name
        # The base didn't move, and the heads did learn.
        base = keras.saving.load_model(settings["trunk_options"]["base"])
        kernel = next(one for one in model.weights if one.path.startswith("trunk."))
        assert (kernel.numpy() == base.weights[0].numpy()).all()
        assert measured["y1_mae"] < 0.9

    @pytest.mark.parametrize(
        "changes",
        [
            {"architecture": "mmoe"},
            {"trunk_options": {"base": "./x.keras", "trainable": True}},
            {"trunk": "mlp", "trunk_options": {"units": [8]}},
        ],
    )
    def test_refuses_features_that_change(self, settings, changes):
        with pytest.raises(OptionError, match=r"`cache_features` needs .* Received: "):
            Settings(**{**settings, **changes}).check()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give DATASET and ARCHITECTURE, or --recipe FILE"),
        (["adult"], "Give DATASET and ARCHITECTURE, or --recipe FILE"),
        (["adult", "--recipe", "x"], "--recipe says it all; leave out: dataset"),
        (["--recipe", "x", "--epochs", "5"], "leave out: epochs"),
        (["adult", "mmoe", "--publish", "x"], "--publish needs --recipe"),
    ],
)
def test_usage(arguments, message):
    done = run("train", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
