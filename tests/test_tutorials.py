"""Every tutorial runs from start to end, and was landed with its results in it."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TUTORIALS = sorted((Path(__file__).parent.parent / "tutorials").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's own
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_runs(path, monkeypatch):
    # The kernel draws into the page, whatever the tests draw with.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_holds_its_results(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    pictures = [one for one in outputs if "image/png" in one.get("data", {})]
    assert pictures, "a tutorial shows pictures"


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_shows_what_matters_alone(path):
    notebook = nbformat.read(path, as_version=4)
    assert not any("execution" in cell.metadata for cell in notebook.cells)
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    texts = [
        one.get("text", "") + one.get("data", {}).get("text/plain", "")
        for one in outputs
    ]
    # Neither logs nor the folders of one machine.
    shown = [one for one in texts if re.search(r"/tmp|/home|/root|WARN|[IWE]0000", one)]
    assert not shown
    assert not [one for one in outputs if one.get("name") == "stderr"]


def test_there_are_tutorials():
    assert TUTORIALS
