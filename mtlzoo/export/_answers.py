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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtlzoo.errors import ExportError

GOLDEN, ANSWERS = "golden.npz", "answers.npz"


class Answering:
    """The other process, seen from the one that exports."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def answers(
        self,
        folder: Path,
        forms: Mapping[str, str],
        inputs: Mapping[str, Mapping[str, Any]],
    ) -> dict[str, Any]:
        """Return what the export `folder / "model"` answers to golden rows.

        Args:
            folder: that holds it; other files are written beside it.
            forms: the form of its inputs, by signature.
            inputs: golden rows, arrays by form and input name.

        Returns:
            Arrays by `"<signature>/<output>"` for all rows together, and by
            `"<signature>/<output>/0"` for the first row alone.

        Raises:
            ExportError: it can't be loaded, or can't answer.
        """
        _save(
            folder / GOLDEN,
            {
                f"{form}/{name}": array
                for form, arrays in inputs.items()
                for name, array in arrays.items()
            },
        )
        request = json.dumps({"folder": str(folder), "forms": dict(forms)})
        _, errors = self._process.communicate(request + "\n")
        if self._process.returncode:
            last = (errors.strip() or "no message").splitlines()[-1]
            raise ExportError(
                "The exported model fails as TensorFlow Serving would run it, so it "
                f"was not published: {last}"
            )
        return _load(folder / ANSWERS)


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

    line = sys.stdin.readline()
    if not line:
        return
    request = json.loads(line)
    folder = Path(request["folder"])
    golden: dict[str, dict[str, Any]] = {}
    for key, array in _load(folder / GOLDEN).items():
        form, name = key.split("/")
        golden.setdefault(form, {})[name] = array
    answers = {}
    with ExportedModel(folder / "model") as exported:
        for signature, form in request["forms"].items():
            rows = golden[form]
            for output, array in exported(rows, signature).items():
                answers[f"{signature}/{output}"] = array
            first = {name: array[:1] for name, array in rows.items()}
            for output, array in exported(first, signature).items():
                answers[f"{signature}/{output}/0"] = array
    _save(folder / ANSWERS, answers)


def _save(path: Path, arrays: Mapping[str, Any]) -> None:
    # Arrays of objects, as strings come out of TensorFlow, would have to be pickled,
    # and those of bytes lose the zeros at the end of each: "." keeps them.
    stored: dict[str, Any] = {
        name: np.array([one + b"." for one in array.ravel()], "S").reshape(array.shape)
        if array.dtype == object
        else array
        for name, array in arrays.items()
    }
    np.savez(path, **stored)


def _load(path: Path) -> dict[str, Any]:
    with np.load(path) as stored:
        return {
            name: _without_dots(array) if array.dtype.kind == "S" else array
            for name, array in stored.items()
        }


def _without_dots(array: Any) -> Any:
    found = np.empty(array.size, object)
    found[:] = [one[:-1] for one in array.ravel()]
    return found.reshape(array.shape)


if __name__ == "__main__":
    main()
