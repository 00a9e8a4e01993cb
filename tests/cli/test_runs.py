"""`train`, `evaluate`, `export` and `demo`, from the first file to the last."""

import csv
import json
import re
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from mtlzoo import datasets, export
from mtlzoo.cli import main

SMALL = ["synthetic", "shared_bottom", "-d", "num_samples=300", "-d", "dimension=4"]


def run(*arguments):
    arguments = [str(one) for one in arguments]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def fails(*arguments):
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    return result.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    options = ["-t", "units=8,4", "--epochs", "2", "--seed", "3"]
    result = run("train", *SMALL, "--trunk", "mlp", *options, "--output", folder)
    assert result.exit_code == 0, result.stderr
    return folder, result


class TestTrain:
    def test_folder(self, trained):
        folder, _ = trained
        files = sorted(path.name for path in folder.iterdir())
        assert files == [
            "curves.png",
            "history.csv",
            "metrics.json",
            "model.keras",
            "run.json",
        ]
        settings = json.loads((folder / "run.json").read_text())["settings"]
        assert settings["trunk_options"] == {"units": [8, 4]}
        assert settings["seed"] == 3
        with (folder / "history.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["epoch"] for row in rows] == ["1", "2"]
        assert float(rows[0]["val_y1_mae"]) > 0
        metrics = json.loads((folder / "metrics.json").read_text())
        assert set(metrics) == {"validation", "test"}

    def test_output(self, trained):
        folder, result = trained
        assert re.search(r"y1 +mae +0\.\d{4}", result.stdout)
        assert f"mtlzoo evaluate {folder}" in result.stderr
        assert "shared_bottom" in result.stderr  # the progress bar's line

    def test_model_loads_with_keras_alone(self, trained):
        model = keras.saving.load_model(trained[0] / "model.keras")
        assert [task.name for task in model.tasks] == ["y1", "y2"]

    def test_json_and_default_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        found = json.loads(run("train", *SMALL, "--epochs", 1, "--json").stdout)
        assert found["output"] == "runs/synthetic-shared_bottom-0"
        assert found["metrics"]["test"]["y1_loss"] > 0
        assert (tmp_path / found["output"] / "model.keras").is_file()

    def test_folder_that_is_taken(self, trained):
        message = fails("train", *SMALL, "--output", trained[0])
        assert "exists already. Choose another --output, or remove it" in message

    def test_folder_that_can_not_be_written(self, tmp_path):
        (tmp_path / "file").touch()
        for output in (tmp_path / "file" / "run", "/proc/runs/run"):
            message = fails("train", *SMALL, "--output", output)
            assert message.startswith("Error: Can't write in")

    def test_unknown_option_is_one_line(self):
        message = fails("train", "adult", "mmoe", "-o", "num_expert=4")
        assert message.count("\n") == 1
        assert "Did you mean 'num_experts'" in message

    def test_ctrl_c_leaves_nothing(self, tmp_path):
        command = [sys.executable, "-m", "mtlzoo", "train", *SMALL]
        process = subprocess.Popen(
            [*command, "--epochs", "10000", "--output", str(tmp_path / "run")],
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background job, as these tests may be, ignores Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            time.sleep(8)
            process.send_signal(signal.SIGINT)
            _, message = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 130
        assert "Stopped. Nothing half-written was left." in message
        assert "Traceback" not in message
        assert not list(tmp_path.iterdir())


class TestEvaluate:
    def test_run(self, trained):
        folder, _ = trained
        found = json.loads(run("evaluate", folder, "--json").stdout)
        stored = json.loads((folder / "metrics.json").read_text())["test"]
        assert found["dataset"] == "synthetic"
        assert found["split"] == "test"
        assert found["metrics"] == pytest.approx(stored, rel=1e-4)

    def test_table_of_a_split(self, trained):
        result = run("evaluate", trained[0], "--split", "validation")
        assert "synthetic, validation" in result.stdout
        assert "r2" in result.stdout

    def test_file_needs_a_data_set(self, trained):
        file = trained[0] / "model.keras"
        assert "Add --dataset NAME" in fails("evaluate", file)
        message = fails("evaluate", file, "--dataset", "adult")
        assert "Every row needs all inputs" in message

    def test_nothing_there(self, tmp_path):
        message = fails("evaluate", tmp_path / "nothing")
        assert "Neither a run nor a .keras file" in message

    def test_damaged_file(self, tmp_path):
        (tmp_path / "model.keras").write_text("not a model")
        message = fails("evaluate", tmp_path / "model.keras", "--dataset", "adult")
        assert "can't be loaded" in message

    def test_model_without_tasks(self, tmp_path):
        tensor = keras.Input((3,), name="x")
        model = keras.Model(tensor, {"y": keras.layers.Dense(1)(tensor)})
        model.save(tmp_path / "plain.keras")
        message = fails("evaluate", tmp_path / "plain.keras", "--dataset", "adult")
        assert "MultiTaskModel.from_functional(model, tasks)" in message


class TestExport:
    def test_run(self, trained, tmp_path):
        base = tmp_path / "serving" / "small"
        result = run("export", trained[0], base, "--json")
        found = json.loads(result.stdout)
        assert found["folder"] == str(base / "1")
        assert found["inputs"] == {"x": {"shape": [None, 4], "dtype": "float32"}}
        assert {"serving_default", "task_y1", "regress_y2"} < set(found["signatures"])
        assert "tensorflow_model_server --model_name=small" in result.stderr
        x, _ = datasets.load("synthetic", num_samples=300, dimension=4).arrays("test")
        model = keras.saving.load_model(trained[0] / "model.keras")
        with export.load(base) as exported:
            np.testing.assert_allclose(
                exported(x)["y1"], model.predict(x, verbose=0)["y1"], atol=1e-5
            )

    def test_file(self, trained, tmp_path):
        run("export", trained[0] / "model.keras", tmp_path, "--version", 7)
        assert [path.name for path in tmp_path.iterdir()] == ["7"]

    def test_refusals(self, trained, tmp_path):
        (tmp_path / "3").mkdir()
        message = fails("export", trained[0], tmp_path, "--version", 3)
        assert "Version 3 is in" in message
        assert "Neither a run" in fails("export", tmp_path, tmp_path)

    def test_litert(self, trained, tmp_path):
        file = tmp_path / "small.tflite"
        found = json.loads(
            run("export", trained[0], file, "--quantize", "float16", "--json").stdout
        )
        assert found["size"] == file.stat().st_size
        assert 0 < max(found["differences"].values()) < 0.1
        assert "exists already" in fails("export", trained[0], file)

    def test_int8(self, trained, tmp_path):
        result = run("export", trained[0], tmp_path, "--quantize", "int8", "--json")
        found = json.loads(result.stdout)
        assert found["size"] < found["weights"]
        assert 0 < max(found["differences"].values()) < 0.5
        assert "Largest difference from the model:" in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["model.keras"], "PATHS must be two"),
            (["m.keras", "served", "--quantize", "float16"], "TensorFlow Serving int8"),
            (["m.keras", "m.onnx", "--quantize", "int8"], "int8 is not for m.onnx"),
            (["m.keras", "m.onnx", "--version", 1], "--version is for TensorFlow Serv"),
            (["m.keras", "m.tflite", "--no-warmup"], "--warmup is for TensorFlow Serv"),
        ],
    )
    def test_usage(self, arguments, message):
        result = run("export", *arguments)
        assert result.exit_code == 2
        assert message in result.stderr

    def test_deploy(self, tmp_path):
        (tmp_path / "serving" / "income" / "1").mkdir(parents=True)
        folder = tmp_path / "deploy"
        arguments = ["export", "--deploy", folder, tmp_path / "serving" / "income"]
        result = run(*arguments)
        assert result.exit_code == 0, result.stderr
        assert "docker compose up" in result.stderr
        assert 'name: "income"' in (folder / "models.config").read_text()
        assert "already, and may have been tuned" in fails(*arguments)


def test_demo(tmp_path):
    output = tmp_path / "demo"
    result = run("demo", "--output", output, "--epochs", 1, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    shared, single = found["runs"]
    assert (shared["model"], single["model"]) == ("shared_bottom", "single_task")
    assert shared["income_auc"] > 0.85
    assert single["delta_m"] == 0
    assert shared["parameters"] < single["parameters"]
    assert set(found["answer"]) == {"income", "never_married"}
    assert isinstance(found["row"]["occupation"], str)
    for name in ("curves.png", "model.png"):
        assert (output / name).stat().st_size > 1000
    with export.load(output / "serving" / "adult") as exported:
        row = {name: [value] for name, value in found["row"].items()}
        assert exported(row)["income"][0, 0] == pytest.approx(found["answer"]["income"])
    assert "Next:" in result.stderr

    again = run("demo", "--output", output, "--epochs", 1)
    assert again.exit_code == 0, again.stderr
    assert "delta_m" in again.stdout
    assert "never_married: " in again.stdout
    assert sorted(path.name for path in output.iterdir()) == [
        "curves.png",
        "model.png",
        "serving",
        "shared_bottom",
        "single_task",
    ]
    versions = sorted(path.name for path in (output / "serving" / "adult").iterdir())
    assert versions == ["1", "2"]
