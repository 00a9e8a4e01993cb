"""The cells of a comparison: one training run each, done once and kept as a file."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mtlzoo.cli import _run
from mtlzoo.cli._flops import forward_flops
from mtlzoo.cli._output import say
from mtlzoo.cli._settings import Settings
from mtlzoo.errors import DataError, MTLZooError

BASELINE = "single_task"


def make_cells(
    base: Settings,
    architectures: Iterable[str],
    balancings: Iterable[str],
    seeds: int,
    options: dict[str, dict[str, Any]] | None = None,
) -> list[Settings]:
    """Return the settings of all cells: seeds outermost, so that all fill up evenly.

    Every architecture meets every balancing; the single-task baseline, whose tasks
    share nothing that could be balanced, has equal weights.
    """
    pairs = [(BASELINE, "equal")]
    for architecture in architectures:
        pairs += [(architecture, one) for one in balancings if architecture != BASELINE]
    return [
        dataclasses.replace(
            base,
            architecture=architecture,
            balancing=balancing,
            options=(options or {}).get(architecture, {}),
            seed=seed,
        )
        for seed in range(seeds)
        for architecture, balancing in dict.fromkeys(pairs)
    ]


def leave_out(
    cells: list[Settings], folder: Path, named: Iterable[str]
) -> list[Settings]:
    """Return the cells whose architectures take the data, and say which ones don't.

    Raises:
        MTLZooError: one that doesn't was called for by name, not by a wildcard.
    """
    from mtlzoo import _data

    proven = {one.architecture for one in cells if record_path(folder, one).exists()}
    untried = {one.architecture: one for one in cells if one.architecture not in proven}
    dataset: Any = _run.load_dataset(cells[0]) if untried else None
    unfit = set()
    for name, settings in untried.items():
        try:
            model = _run.build_model(settings, dataset)
            _data.prepare(model, *dataset.arrays("validation"))
        except MTLZooError as error:
            if name in named:
                raise
            unfit.add(name)
            reason, *_ = str(error).split(". ")
            say(f"Left out {name}: {reason.rstrip('.')}.")
    return [one for one in cells if one.architecture not in unfit]


def run_cells(
    cells: list[Settings],
    folder: Path,
    keep_model: Callable[[Settings], bool] = lambda settings: False,
) -> Iterator[dict[str, Any]]:
    """Yield the record of each cell, from its file if it was run before.

    A record is written whole or not at all, so a comparison that was killed goes on
    where it stopped.

    Args:
        cells: the settings of each.
        folder: of the records.
        keep_model: whether the trained model of a cell is saved beside its record, as
            `model_path` says.

    Raises:
        DataError: a file holds the result of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for index, settings in enumerate(cells, start=1):
        path = record_path(folder, settings)
        plain = json.loads(json.dumps(dataclasses.asdict(settings)))
        if path.exists():
            record = json.loads(path.read_text("utf-8"))
            # A setting that is newer than the record has its default.
            if Settings(**record["settings"]) != Settings(**plain):
                raise DataError(
                    f"{path} holds a run with other settings. Choose another --output, "
                    "or remove that folder."
                )
        else:
            label = (
                f"{index}/{len(cells)} {settings.architecture} {settings.balancing} "
                f"seed {settings.seed}"
            )
            model, record = _run_one(settings, label)
            record = {"settings": plain, **record}
            if keep_model(settings):
                model.save(model_path(folder, settings))
            unfinished = path.with_suffix(".tmp")
            unfinished.write_text(json.dumps(record, indent=2), "utf-8")
            os.replace(unfinished, path)
        yield record


def record_path(folder: Path, settings: Settings) -> Path:
    """Return where the record of a cell lies."""
    name = f"{settings.architecture}.{settings.balancing}.{settings.seed}.json"
    return folder / name


def model_path(folder: Path, settings: Settings) -> Path:
    """Return where the model of a cell lies, if it was kept."""
    return record_path(folder, settings).with_suffix(".keras")


def _run_one(settings: Settings, label: str) -> tuple[Any, dict[str, Any]]:
    import keras

    from mtlzoo.callbacks import StepTime

    keras.backend.clear_session()
    timer = StepTime()
    dataset = _run.load_dataset(settings)
    result = _run.train(settings, dataset, label, callbacks=[timer])
    model = result.model
    return model, {
        "headlines": {task.name: list(task.headline) for task in model.tasks},
        "validation": result.metrics["validation"],
        "test": result.metrics["test"],
        "epochs": len(result.history["loss"]),
        "parameters": result.parameters,
        "flops": forward_flops(model),
        "step_seconds": timer.seconds,
    }
