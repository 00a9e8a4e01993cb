import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
import readme


def blocks(language):
    text = readme.README.read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_tables_are_current():
    text = readme.README.read_text("utf-8")
    assert readme.with_tables(text) == text, "run `python tests/readme.py`"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder that the README's Python code ran in."""
    folder = tmp_path_factory.mktemp("readme")
    here = os.getcwd()
    os.chdir(folder)
    try:
        exec(compile("\n".join(blocks("python")), "README.md", "exec"), {})
    finally:
        os.chdir(here)
    return folder


def test_code_runs(folder):
    assert (folder / "model.keras").is_file()
    assert (folder / "serving/people/1/saved_model.pb").is_file()


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl_gets_answers(folder):
    from mtlzoo import serving

    with serving.serve(folder / "serving/people", port=0, grpc_port=0) as server:
        address = server.url.removeprefix("http://")
        answers = [
            json.loads(
                subprocess.run(
                    line.replace("localhost:8501", address),
                    shell=True,
                    check=True,
                    capture_output=True,
                ).stdout
            )
            for line in "\n".join(blocks("bash")).splitlines()
            if line.startswith("curl ")
        ]
    status, row, column, regressed = answers
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    (prediction,) = row["predictions"]
    assert set(prediction) == {"income", "hours"}
    incomes = np.ravel(column["outputs"])
    np.testing.assert_allclose(incomes[0], prediction["income"], rtol=1e-4)
    np.testing.assert_allclose(regressed["results"], prediction["hours"], rtol=1e-4)


def test_commands_exist():
    from click.testing import CliRunner

    from mtlzoo.cli import main

    for line in "\n".join(blocks("bash")).splitlines():
        if line.startswith("mtlzoo "):
            command = line.split()[1]
            result = CliRunner().invoke(main, [command, "--help"])
            assert result.exit_code == 0, line


def test_ci_runs_what_the_readme_says():
    script = (readme.README.parent / ".ci/run").read_text("utf-8")
    assert "pip install . && mtlzoo demo" in "".join(blocks("bash"))
    assert "pip install '.[test]' && pytest" in "".join(blocks("bash"))
    assert '/mtlzoo" demo' in script
    assert "pytest" in script
