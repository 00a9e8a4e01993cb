"""A training run: from settings to a trained model, and the folder that holds it.

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
import time
from pathlib import Path
from typing import Any

from mtlzoo._staging import not_writable, publish, staging
from mtlzoo._version import __version__
from mtlzoo.cli._output import say, working
from mtlzoo.cli._settings import Settings
from mtlzoo.errors import DataError, ExportError, MissingExtraError

SPLITS = ("validation", "test")


@dataclasses.dataclass
class Result:
    """A trained model and how it got there.

    Attributes:
        settings: of the run.
        model: trained.
        history: losses and metrics by name, one value an epoch.
        metrics: losses and metrics by name, by split.
        seconds: that training took.
    """

    settings: Settings
    model: Any
    history: dict[str, list[float]]
    metrics: dict[str, dict[str, float]]
    seconds: float

    @property
    def parameters(self) -> int:
        return int(self.model.count_params())

    def facts(self) -> dict[str, Any]:
        """Return what `train --json` prints."""
        return {
            **dataclasses.asdict(self.settings),
            "parameters": self.parameters,
            "seconds": round(self.seconds, 1),
            "metrics": self.metrics,
        }


def load_dataset(settings: Settings) -> Any:
    """Return the data set of a run, in its batches."""
    from mtlzoo import datasets

    return datasets.load(
        settings.dataset,
        batch_size=settings.batch_size,
        shuffle_seed=settings.seed,
        **settings.dataset_options,
    )


def train(settings: Settings, dataset: Any, label: str) -> Result:
    """Build and train a model, and evaluate it on the validation and test rows."""
    import keras

    from mtlzoo import build
    from mtlzoo._registry import BALANCING, TRUNKS
    from mtlzoo.callbacks import Progress

    keras.utils.set_random_seed(settings.seed)
    model = build(
        settings.architecture,
        **dataset.spec,
        trunk=settings.trunk and TRUNKS.get(settings.trunk)(**settings.trunk_options),
        balancing=BALANCING.get(settings.balancing)(**settings.balancing_options),
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        **settings.options,
    )
    progress = Progress(label)
    start = time.perf_counter()
    try:
        history = model.fit(
            dataset.train,
            validation_data=dataset.validation,
            epochs=settings.epochs,
            verbose=0,
            callbacks=[progress],
        ).history
    finally:
        progress.close()
    seconds = time.perf_counter() - start
    with working("Evaluating"):
        metrics = {split: evaluate(model, getattr(dataset, split)) for split in SPLITS}
    history = {name: [float(one) for one in values] for name, values in history.items()}
    return Result(settings, model, history, metrics, seconds)


def evaluate(model: Any, batches: Any) -> dict[str, float]:
    """Return losses and metrics by name."""
    found = model.evaluate(batches, verbose=0, return_dict=True)
    return {name: float(value) for name, value in found.items()}


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
