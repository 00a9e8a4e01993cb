"""Another process that runs an export as the server does, and writes down its answers.

It imports TensorFlow while the model is still being traced, then waits to be told where
the export is. It outlives nothing: it ends with its task, or when whoever started it is
gone and its standard input closes.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mtlzoo.errors import ExportError

GOLDEN, ANSWERS = "golden.npz", "answers.npz"


class Answering:
    """The other process, seen from the one that exports."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def answers(self, folder: Path, golden: dict[str, Any]) -> dict[str, Any]:
        """Return what the export `folder / "model"` answers to the rows of `golden`.

        Returns:
            Arrays by `"<signature>/<output>"` for all rows together, and by
            `"<signature>/<output>/0"` for the first row alone.

        Raises:
            ExportError: it can't be loaded, or can't answer.
        """
        _save(folder / GOLDEN, golden)
        _, errors = self._process.communicate(json.dumps(str(folder)) + "\n")
        if self._process.returncode:
            last = (errors.strip() or "no message").splitlines()[-1]
            raise ExportError(
                "The exported model fails as TensorFlow Serving would run it, so it "
                f"was not published: {last}"
            )
        with np.load(folder / ANSWERS) as answers:
            return dict(answers)


@contextlib.contextmanager
def answering() -> Iterator[Answering]:
    """Start the other process, and see to its end."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # The exporting process may hold all memory of the accelerator.
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,  # Ctrl-C is for the exporting process to handle
    )
    try:
        yield Answering(process)
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    """Answer as told on standard input."""
    from mtlzoo.export._load import ExportedModel

    request = sys.stdin.readline()
    if not request:
        return
    folder = Path(json.loads(request))
    with np.load(folder / GOLDEN) as stored:
        golden = dict(stored)
    first = {name: array[:1] for name, array in golden.items()}
    answers = {}
    with ExportedModel(folder / "model") as exported:
        for signature in exported.signatures:
            for output, array in exported(golden, signature).items():
                answers[f"{signature}/{output}"] = array
            for output, array in exported(first, signature).items():
                answers[f"{signature}/{output}/0"] = array
    _save(folder / ANSWERS, answers)


def _save(path: Path, arrays: dict[str, Any]) -> None:
    # Arrays of objects, as strings come out of TensorFlow, would have to be pickled.
    np.savez(
        path,
        **{
            name: array.astype("S") if array.dtype == object else array
            for name, array in arrays.items()
        },
    )


if __name__ == "__main__":
    main()
