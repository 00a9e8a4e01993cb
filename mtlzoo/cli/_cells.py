"""The cells of a comparison: one training run each, done once and kept as a file."""

import dataclasses
import json
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from mtlzoo._staging import not_writable, staging
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


def check_records(cells: Iterable[Settings], folder: Path) -> None:
    """Refuse a folder with records that aren't of these cells, before any training.

    The folder is made, if it isn't there.

    Raises:
        DataError: a file holds the result of other settings, or can't be read.
        ExportError: the folder can't be written.
    """
    for settings in cells:
        _recorded(settings, folder)
    with staging(folder):
        pass


def leave_out(
    cells: list[Settings],
    folder: Path,
    named_architectures: Collection[str],
    named_balancings: Collection[str],
) -> list[Settings]:
    """Return the cells whose architectures take the data and can be balanced so.

    It says which ones are left out.

    Raises:
        MTLZooError: one that was called for by name, not by a wildcard.
    """
    from mtlzoo import _data
    from mtlzoo._registry import BALANCING

    done = {_pair(one) for one in cells if record_path(folder, one).exists()}
    untried = {_pair(one): one for one in cells if _pair(one) not in done}
    dataset: Any = _run.load_dataset(cells[0]) if untried else None
    unfit: set[tuple[str, str]] = set()
    for architecture in dict.fromkeys(name for name, _ in untried):
        pairs = [pair for pair in untried if pair[0] == architecture]
        plain = dataclasses.replace(untried[pairs[0]], balancing="equal")
        try:
            model = _run.build_model(plain, dataset)
            _data.prepare(model, *dataset.arrays("validation"))
        except MTLZooError as error:
            if architecture in named_architectures:
                raise
            unfit.update(pairs)
            _say_left_out(architecture, error)
            continue
        for pair in pairs:
            options = untried[pair].balancing_options
            try:
                model.compile(balancing=BALANCING.get(pair[1])(**options))
            except MTLZooError as error:
                if architecture in named_architectures and pair[1] in named_balancings:
                    raise
                unfit.add(pair)
                _say_left_out(" + ".join(pair), error)
    return [one for one in cells if _pair(one) not in unfit]


def _pair(settings: Settings) -> tuple[str, str]:
    return settings.architecture, settings.balancing


def _say_left_out(name: str, error: MTLZooError) -> None:
    reason, *_ = str(error).split(". ")
    say(f"Left out {name}: {reason.rstrip('.')}.")


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
        folder: of the records, which `check_records` has made and looked through.
        keep_model: whether the trained model of a cell is saved beside its record, as
            `model_path` says.

    Raises:
        DataError: a file holds the result of other settings, or can't be read.
    """
    logging.getLogger("tensorflow").addFilter(_is_no_retracing)
    for index, settings in enumerate(cells, start=1):
        record = _recorded(settings, folder)
        if record is None:
            label = (
                f"{index}/{len(cells)} {settings.architecture} {settings.balancing} "
                f"seed {settings.seed}"
            )
            model, record = _run_one(settings, label)
            record = {"settings": _plain(settings), **record}
            if keep_model(settings):
                model.save(model_path(folder, settings))
            path = record_path(folder, settings)
            # Another process may be at work on the same cell.
            unfinished = path.with_suffix(f".{os.getpid()}.tmp")
            unfinished.write_text(json.dumps(record, indent=2), "utf-8")
            os.replace(unfinished, path)
        yield record


def _is_no_retracing(entry: logging.LogRecord) -> bool:
    """Filter a warning out: each of many models has, and should have, its own step."""
    return "triggered tf.function retracing" not in entry.getMessage()


def _recorded(settings: Settings, folder: Path) -> dict[str, Any] | None:
    """Return the record of a cell, if it was run."""
    path = record_path(folder, settings)
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        # A setting that is newer than the record has its default.
        found = _plain(Settings(**record["settings"]))
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise not_writable(folder, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} holds no run that can be read ({error}). Remove that file."
        ) from error
    wanted = _plain(settings)
    others = [
        f"{name}={found[name]!r}, here {wanted[name]!r}"
        for name in wanted
        if found[name] != wanted[name]
    ]
    if others:
        raise DataError(
            f"{path} holds a run with other settings: {'; '.join(others)}. Choose "
            "another --output, or remove that folder."
        )
    return record


def _plain(settings: Settings) -> dict[str, Any]:
    """Return settings as JSON has them."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return plain


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
