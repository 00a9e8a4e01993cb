import dataclasses
from pathlib import Path

import click

from mtlzoo.cli import _bundle, _folder, _run
from mtlzoo.cli._output import (
    as_json,
    load_tensorflow,
    print_json,
    print_table,
    working,
)
from mtlzoo.cli._results import print_metrics, task_names
from mtlzoo.cli._settings import Settings
from mtlzoo.errors import BundleError, DataError


@click.command()
@click.argument("model")
@click.option("--dataset", help="Data set; by default the one it was trained on.")
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    help="By default test.",
)
@as_json
def evaluate(model: str, dataset: str | None, split: str | None, as_json: bool) -> None:
    """Evaluate a trained model on a data set.

    MODEL is a run's folder, as `mtlzoo train` makes it, a .keras file, or a pretrained
    bundle, by its name or its folder. A bundle is measured on the rows that its card
    names, and the numbers are compared with those of the card.
    """
    if (place := _bundle.source(model)) is not None:
        if dataset or split:
            raise click.UsageError(
                "A bundle is measured on the rows that its card names: leave out "
                "--dataset and --split."
            )
        _reproduce(model, place, as_json)
        return
    path, split = Path(model), split or "test"
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
        loaded = _folder.load_multi_task_model(file)
    data = _run.load_dataset(dataclasses.replace(settings, batch_size=1024))
    with working(f"Evaluating on {split}"):
        metrics = _run.evaluate(loaded, getattr(data, split))
    if as_json:
        print_json({"dataset": data.name, "split": split, "metrics": metrics})
    else:
        print_metrics(task_names(loaded), metrics, f"{data.name}, {split}")


def _reproduce(name: str, place: str | Path, as_json: bool) -> None:
    load_tensorflow()
    from mtlzoo import hub

    with working("Measuring"):
        found = hub.evaluate(place)
    if as_json:
        print_json([one._asdict() for one in found])
    else:
        print_table(
            ["task", "metric", "published", "measured", "agrees"],
            [
                (
                    one.task,
                    one.metric,
                    f"{one.published:.6f}",
                    f"{one.measured:.6f}",
                    "yes" if one.agrees else "no",
                )
                for one in found
            ],
            title=f"{name}, as published and as measured now",
        )
    if bad := [f"{one.task} {one.metric}" for one in found if not one.agrees]:
        raise BundleError(
            f"{', '.join(bad)}: measured otherwise than published, by more than "
            f"{hub.TOLERANCE:g}."
        )
