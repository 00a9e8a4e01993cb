import os
import re

import readme


def blocks(language):
    text = readme.README.read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_tables_are_current():
    text = readme.README.read_text("utf-8")
    assert readme.with_tables(text) == text, "run `python tests/readme.py`"


def test_code_runs(tmp_path):
    code = "\n".join(blocks("python"))
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(compile(code, "README.md", "exec"), {})
    finally:
        os.chdir(here)
    assert (tmp_path / "model.keras").is_file()
    assert (tmp_path / "serving/people/1/saved_model.pb").is_file()


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
