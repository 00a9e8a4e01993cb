import dataclasses
import shlex
from pathlib import Path
from typing import Any

import click

from mtlzoo._registry import DATASETS
from mtlzoo.cli import _folder, _run
from mtlzoo.cli._output import (
    as_json,
    load_tensorflow,
    print_json,
    say,
    say_next,
    working,
)
from mtlzoo.cli._results import owner
from mtlzoo.cli._settings import Settings
from mtlzoo.errors import DataError

GOLDEN_ROWS = 4
LOWER_IS_BETTER = ("loss", "mae", "mse", "rmse", "poisson")


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("name")
@click.option(
    "--license", "license_", required=True, help="Of the weights: an SPDX expression."
)
@click.option("--description", required=True, help="One sentence.")
@click.option("--version", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--dataset",
    help="Of a .keras file: the data set that it was trained on, to measure it with.",
)
@click.option("--use", default="", help="What the weights are for.")
@click.option("--limits", default="", help="What they are not for.")
@click.option("--paper", "papers", multiple=True, help="Of the method or the data.")
@click.option("--base", help="Bundle whose weights the frozen trunk has.")
@click.option("--half", is_flag=True, help="Store float16, in half the bytes.")
@click.option("--saved-model/--no-saved-model", default=True, help="Add a SavedModel.")
@click.option(
    "--prose",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Markdown file for the card.",
)
@click.option(
    "--models",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("models"),
    show_default=True,
    help="Folder of bundles.",
)
@as_json
def publish(
    path: Path,
    name: str,
    license_: str,
    dataset: str | None,
    prose: Path | None,
    models: Path,
    base: str | None,
    half: bool,
    saved_model: bool,
    as_json: bool,
    **said: Any,
) -> None:
    """Pack a trained model as the bundle NAME.

    PATH is a run's folder, as `mtlzoo train` makes it, or a .keras file. The model is
    measured on the test rows of its data set, and a few of these become the golden
    inputs.

    \b
    mtlzoo publish runs/adult-mmoe-0 mmoe.mine --license Apache-2.0 \\
        --description "Income and marital status."
    """  # noqa: D301
    file, settings = _folder.find_model(path)
    if settings is None:
        if dataset is None:
            raise DataError(
                "A .keras file doesn't say what data it was trained on. Add --dataset "
                "NAME; see mtlzoo list datasets."
            )
        settings = Settings(dataset=dataset, architecture="shared_bottom")
        settings.check()
    load_tensorflow()
    from mtlzoo import hub

    with working("Loading the model"):
        model = _folder.load_multi_task_model(file)
    data = _run.load_dataset(settings)
    with working("Measuring on the test rows"):
        metrics = _metrics(model, data, settings)
    facts = DATASETS.entry(settings.dataset).facts
    info = hub.WeightsInfo(
        name=name,
        architecture=settings.architecture if dataset is None else model.name,
        license=license_,
        metrics=metrics,
        recipe=hub.RecipeInfo(_command(path, settings), seed=settings.seed),
        datasets=(
            hub.DatasetInfo(
                settings.dataset,
                facts.get("licence", ""),
                facts.get("source", ""),
                options=settings.dataset_options,
            ),
        ),
        **said,
    )
    rows, _ = data.arrays("test")
    with working("Writing the bundle, and loading it again"):
        folder = hub.publish(
            model,
            models,
            info,
            examples={key: column[:GOLDEN_ROWS] for key, column in rows.items()},
            base=base,
            half=half,
            saved_model=saved_model,
            prose=prose.read_text("utf-8") if prose else "",
        )
    if as_json:
        print_json({"folder": str(folder)})
    say(f"Published in {folder}.")
    say_next(f"mtlzoo card ./{folder}", f"mtlzoo evaluate ./{folder}")


def _metrics(model: Any, data: Any, settings: Settings) -> tuple[Any, ...]:
    from mtlzoo import hub

    tasks = [task.name for task in model.tasks]
    measured = _run.evaluate(model, data.batched(1024).test)
    found = []
    for key, value in measured.items():
        task = owner(key, tasks)
        metric = key.removeprefix(f"{task}_")
        if task is not None and metric != "loss":
            better = metric not in LOWER_IS_BETTER
            found.append(
                hub.MetricInfo(
                    task, metric, value, settings.dataset, higher_is_better=better
                )
            )
    return tuple(found)


def _command(path: Path, settings: Settings) -> str:
    """Return the command that made the run, where its settings are known."""
    if not (path / "run.json").is_file():
        return f"not known: {path.name}"
    words = ["mtlzoo", "train", settings.dataset, settings.architecture]
    for field in dataclasses.fields(Settings):
        value = getattr(settings, field.name)
        if field.name in ("dataset", "architecture") or value == _default(field):
            continue
        flag = "--" + field.name.replace("_", "-")
        if isinstance(value, dict):
            for key, one in value.items():
                words += [flag.removesuffix("s"), f"{key}={one}"]
        else:
            words += [flag, str(value)]
    return shlex.join(words)


def _default(field: Any) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return {}
