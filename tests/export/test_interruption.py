"""Stopped at any moment, an export leaves nothing under a version number."""

import contextlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mtlzoo import export
from mtlzoo.errors import ExportError

EXPORT = """
import signal
import sys
import keras
from mtlzoo import export
from mtlzoo.errors import ExportError

# A shell that runs the tests in the background lets its children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
tensor = keras.Input((3,), name="x")
model = keras.Model(tensor, {"y": keras.layers.Dense(2)(tensor)})
for line in sys.stdin:
    try:
        print("started", flush=True)
        export.saved_model(model, sys.argv[1])
        print("exported", flush=True)
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""

BEGUN = ".mtlzoo-*"
WRITING = ".mtlzoo-*/model"
WRITTEN = ".mtlzoo-*/model/saved_model.pb"
CHECKING = ".mtlzoo-*/golden.npz"


@contextlib.contextmanager
def exporter(base):
    """Start a process that exports to `base` each time it is sent a line."""
    with subprocess.Popen(
        [sys.executable, "-c", EXPORT, str(base)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def start(process):
    process.stdin.write("export\n")
    process.stdin.flush()
    assert process.stdout.readline() == "started\n"


def wait_for(base, pattern):
    deadline = time.monotonic() + 60
    while not list(base.glob(pattern)):
        assert time.monotonic() < deadline, f"{pattern} never came"
        time.sleep(0.001)


def test_ctrl_c_leaves_nothing(tmp_path):
    with exporter(tmp_path) as process:
        for moment in (BEGUN, WRITING, WRITTEN, CHECKING):
            for _ in range(3):
                start(process)
                wait_for(tmp_path, moment)
                process.send_signal(signal.SIGINT)
                if (line := process.stdout.readline()) == "stopped\n":
                    break
                # Python drops an interrupt that comes while a finalizer runs.
                shutil.rmtree(tmp_path / "1")
            assert line == "stopped\n", moment
            assert not list(tmp_path.iterdir()), moment
        start(process)
        assert process.stdout.readline() == "exported\n"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize("moment", [WRITTEN, CHECKING])
def test_kill_leaves_no_version(moment, tmp_path):
    with exporter(tmp_path) as process:
        start(process)
        wait_for(tmp_path, moment)
        process.kill()
    assert all(path.name.startswith(".mtlzoo-") for path in tmp_path.iterdir())
    with pytest.raises(ExportError, match="No exported"):
        export.load(tmp_path)
