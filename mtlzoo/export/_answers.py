"""Another process that runs an export as the server does, and writes down its answers.

It imports TensorFlow while the model is still being traced, then waits to be told where
the export is. It outlives nothing: it ends with its task, or when whoever started it is
gone and its standard input closes.
"""

import contextlib
import contextvars
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtlzoo.errors import ExportError

GOLDEN, ANSWERS = "golden.npz", "answers.npz"


class Answering:
    """The other process, seen from the one that exports."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._errors: Any = None

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self._process is not None:
            return
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # The exporting process may hold all memory of the accelerator.
            "CUDA_VISIBLE_DEVICES": "-1",
        }
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (`end` closes it)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the exporting process to handle
        )

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
        # The process may have been started when another folder was the current one.
        error = self._ask({"folder": str(folder.absolute()), "forms": dict(forms)})
        if error:
            raise ExportError(
                "The exported model fails as TensorFlow Serving would run it, so it "
                f"was not published: {error}"
            )
        return _load(folder / ANSWERS)

    def _ask(self, request: Mapping[str, Any]) -> str:
        """Return what went wrong, `""` if nothing did."""
        self.start()
        if self._process is None or not self._process.stdin or not self._process.stdout:
            raise AssertionError("it was started with pipes")
        try:
            with contextlib.suppress(BrokenPipeError):  # there is no answer then, too
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BaseException:
            self.end()  # what it still answers is for nobody
            raise
        if line:
            return str(json.loads(line)["error"])
        self._errors.seek(0)
        last = (self._errors.read().strip() or "no message").splitlines()[-1]
        self.end()
        return last

    def end(self) -> None:
        """End the process; another one starts when it is needed."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
            self._errors.close()


_kept: contextvars.ContextVar[Answering | None] = contextvars.ContextVar(
    "_kept", default=None
)


@contextlib.contextmanager
def answering() -> Iterator[Answering]:
    """Start the other process, and see to its end; inside `keeping`, use that one."""
    kept = _kept.get()
    server = kept or Answering()
    try:
        server.start()
        yield server
    finally:
        if kept is None:
            server.end()


@contextlib.contextmanager
def keeping() -> Iterator[None]:
    """Let all exports inside share one process, since starting one takes seconds."""
    server = Answering()
    token = _kept.set(server)
    try:
        yield
    finally:
        _kept.reset(token)
        server.end()


def main() -> None:
    """Answer as told on standard input, a line at a time."""
    from mtlzoo.export._load import ExportedModel

    # What TensorFlow prints must not come between the answers.
    said, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        folder, error = Path(request["folder"]), ""
        try:
            with ExportedModel(folder / "model") as exported:
                _answer(exported, folder, request["forms"])
        except Exception as failed:
            lines = str(failed).strip().splitlines() or ["no message"]
            error = f"{type(failed).__name__}: {lines[0]}"
        said.write(json.dumps({"error": error}) + "\n")
        said.flush()


def _answer(exported: Any, folder: Path, forms: Mapping[str, str]) -> None:
    golden: dict[str, dict[str, Any]] = {}
    for key, array in _load(folder / GOLDEN).items():
        form, name = key.split("/")
        golden.setdefault(form, {})[name] = array
    answers = {}
    for signature, form in forms.items():
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
