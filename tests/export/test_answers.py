"""The other process: it outlives a bad export, and is started again when it dies."""

import contextvars
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from examples import two_task_model

from mtlzoo import export
from mtlzoo.errors import ExportError
from mtlzoo.export._answers import Answering, answering, keeping
from mtlzoo.export._offer import Offer


@pytest.fixture
def written(tmp_path):
    """A folder with an export that isn't published, and what to ask it."""
    offer = Offer(two_task_model())
    offer.write(tmp_path / "model")
    rows = {"a": np.ones((2, 4), "float32"), "b": np.ones((2, 3), "float32")}
    return tmp_path, offer.forms, offer.inputs(rows)


def test_one_process_for_all_exports_inside(written):
    folder, forms, inputs = written
    with keeping():
        with answering() as first:
            found = first.answers(folder, forms, inputs)
            process = first._process
        assert found["serving_default/click"].shape == (2, 1)
        assert found["serving_default/click/0"].shape == (1, 1)
        with answering() as second:
            (folder / "model" / "saved_model.pb").write_bytes(b"no model")
            with pytest.raises(ExportError, match="would run it, so it was not pub"):
                second.answers(folder, forms, inputs)
            assert second._process is process
            assert process.poll() is None
    assert process.poll() is not None


def test_process_that_dies(written):
    server = Answering()
    server.start()
    os.kill(server._process.pid, signal.SIGKILL)
    server._process.wait()
    with pytest.raises(ExportError, match="no message"):
        server.answers(*written)
    assert server._process is None  # the next question starts another one


def test_interrupted_while_it_waits(written, monkeypatch):
    """What it still says must not be taken for the answer to the next question."""
    server = Answering()
    server.start()
    process = server._process
    monkeypatch.setattr(process.stdout, "readline", interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.answers(*written)
    assert process.poll() is not None
    assert server._process is None


def interrupt():
    raise KeyboardInterrupt


def test_ends_with_the_export(tmp_path, monkeypatch):
    processes = []
    start = Answering.start

    def noted(self):
        start(self)
        processes.append(self._process)

    monkeypatch.setattr(Answering, "start", noted)
    # Outside of what the tests keep.
    contextvars.Context().run(export.saved_model, two_task_model(), tmp_path)
    assert len(set(processes)) == 1
    assert processes[0].poll() is not None


def test_relative_folder_of_a_process_elsewhere(written, tmp_path, monkeypatch):
    """The process starts in one folder, and is asked from another."""
    folder, forms, inputs = written
    with keeping(), answering() as server:
        monkeypatch.chdir(folder.parent)
        found = server.answers(Path(folder.name), forms, inputs)
    assert found["serving_default/click"].shape == (2, 1)
