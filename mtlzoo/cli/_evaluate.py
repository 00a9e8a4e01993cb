import dataclasses
from pathlib import Path

import click

from mtlzoo.cli import _folder, _run
from mtlzoo.cli._output import as_json, load_tensorflow, print_json, working
from mtlzoo.cli._results import print_metrics, task_names
from mtlzoo.cli._settings import Settings
from mtlzoo.errors import DataError


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dataset", help="Data set; by default the one it was trained on.")
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
)
@as_json
def evaluate(path: Path, dataset: str | None, split: str, as_json: bool) -> None:
    """Evaluate a trained model on a data set.

    PATH is a run's folder, as `mtlzoo train` makes it, or a .keras file.
    """
    file, settings = _folder.find_model(path)
    if settings is None and dataset is None:
        raise DataError(
            "A .keras file doesn't say what data it was trained on. Add --dataset "
            "NAME; see mtlzoo list datasets."
        )
    if settings is None or dataset not in (None, settings.dataset):
        settings = Settings(dataset=dataset or "", architecture="shared_bottom")
        settings.check()
    load_tensorflow()
    with working("Loading the model"):
        model = _folder.load_model(file)
    if not hasattr(model, "tasks"):
        raise DataError(
            f"{str(file)!r} holds a {type(model).__name__}, which knows of no tasks. "
            "Make it one that does: mtlzoo.MultiTaskModel.from_functional(model, tasks)"
        )
    data = _run.load_dataset(dataclasses.replace(settings, batch_size=1024))
    with working(f"Evaluating on {split}"):
        metrics = _run.evaluate(model, getattr(data, split))
    if as_json:
        print_json({"dataset": data.name, "split": split, "metrics": metrics})
    else:
        print_metrics(task_names(model), metrics, f"{data.name}, {split}")
