"""The folder that holds a run.

| file | what it holds |
|---|---|
| `model.keras` | the trained model |
| `run.json` | its settings, and the versions it was made with |
| `metrics.json` | losses and metrics on the validation and test rows |
| `history.csv` | the same, of training and validation rows, one line an epoch |
| `curves.png` | a drawing of that, where matplotlib is installed |
"""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

from mtlzoo._multi_task import require_tasks
from mtlzoo._staging import not_writable, publish, staging
from mtlzoo._version import __version__
from mtlzoo.cli._output import say
from mtlzoo.cli._run import Result
from mtlzoo.cli._settings import Settings
from mtlzoo.errors import DataError, ExportError, MissingExtraError


def check_free(folder: Path) -> None:
    """Refuse a folder for a run that something is in already, before hours of training.

    Raises:
        ExportError: saying what to do, or that it can't be written.
    """
    try:
        taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise not_writable(folder, error) from error
    if taken:
        raise ExportError(
            f"{str(folder)!r} exists already. Choose another --output, or remove it."
        )
    with staging(folder.parent):
        pass


def save(result: Result, folder: Path, *, replace: bool = False) -> None:
    """Write a run to `folder`, whole or not at all.

    Args:
        result: the run.
        folder: where to; it may exist only if it is empty.
        replace: whether it may also be an earlier run, whose place this one takes.
    """
    with staging(folder.parent) as stage:
        new = stage / "run"
        new.mkdir()
        result.model.save(new / "model.keras")
        _write_json(new / "run.json", _record(result))
        _write_json(new / "metrics.json", result.metrics)
        _write_csv(new / "history.csv", result.history)
        draw_curves({result.settings.architecture: result.history}, new / "curves.png")
        if replace and (folder / "run.json").is_file():
            folder.rename(stage / "old")
        try:
            publish(new, folder)
        except OSError as error:
            raise not_writable(folder, error) from error


def draw_curves(
    histories: dict[str, Any], path: Path, metrics: list[str] | None = None
) -> None:
    """Draw the curves of runs, or say what is missing to do so."""
    from mtlzoo import plot

    try:
        plot.history(histories, path, metrics=metrics)
    except MissingExtraError as error:
        say(f"No {path.name}: {error}")


def find_model(path: Path) -> tuple[Path, Settings | None]:
    """Return the model at `path`, a run or a `.keras` file, and its run's settings.

    Raises:
        DataError: neither is there.
    """
    if path.is_file() and path.suffix == ".keras":
        return path, None
    if (path / "model.keras").is_file() and (path / "run.json").is_file():
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
        return path / "model.keras", Settings(**record["settings"])
    raise DataError(
        f"Neither a run nor a .keras file is at {str(path)!r}. Make a run with: "
        "mtlzoo train adult shared_bottom"
    )


def load_model(path: Path) -> Any:
    """Return the model in a `.keras` file.

    Raises:
        DataError: Keras can't read it.
    """
    import keras

    try:
        return keras.saving.load_model(path)
    except (ValueError, TypeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{str(path)!r} can't be loaded: {reason}") from error


def load_multi_task_model(path: Path) -> Any:
    """Return the model in a `.keras` file, which must know its tasks.

    Raises:
        DataError: Keras can't read it, or it has no tasks.
    """
    model = load_model(path)
    require_tasks(model, f"{str(path)!r} holds a")
    return model


def _record(result: Result) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    return {
        "settings": dataclasses.asdict(result.settings),
        "parameters": result.parameters,
        "seconds": round(result.seconds, 1),
        "versions": {
            "mtlzoo": __version__,
            "keras": keras.version(),
            "tensorflow": tf.__version__,
        },
    }


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _write_csv(path: Path, history: dict[str, list[float]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *history])
        for epoch, values in enumerate(zip(*history.values(), strict=True), start=1):
            writer.writerow([epoch, *values])
