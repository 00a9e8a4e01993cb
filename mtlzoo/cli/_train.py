from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mtlzoo.cli import _folder, _recipe_command, _run
from mtlzoo.cli._options import pairs, training
from mtlzoo.cli._output import as_json, load_tensorflow, print_json, say, say_next
from mtlzoo.cli._results import print_metrics, task_names
from mtlzoo.cli._settings import SCHEDULES, Settings


@click.command()
@click.argument("dataset", required=False)
@click.argument("architecture", required=False)
@click.option(
    "--recipe",
    "recipe_path",
    type=click.Path(path_type=Path),
    help="File that says it all: data, model, training, seeds.",
)
@pairs("-o", "--option", "options", of="the architecture")
@click.option("--trunk", help="Trunk; by default what suits the inputs.")
@pairs("-t", "--trunk-option", "trunk_options", of="the trunk")
@click.option("--balancing", default="equal", show_default=True, help="Balancing.")
@pairs("-b", "--balancing-option", "balancing_options", of="the balancing")
@pairs("-d", "--dataset-option", "dataset_options", of="the data set")
@training
@click.option(
    "--schedule",
    type=click.Choice(SCHEDULES),
    default="constant",
    show_default=True,
    help="Of the learning rate.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="Stop after so many epochs without a lower validation loss.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the run.  [default: runs/DATASET-ARCHITECTURE-SEED; with "
    "--recipe, runs/NAME]",
)
@click.option(
    "--publish",
    "models",
    type=click.Path(path_type=Path),
    help="With --recipe: folder of bundles, to write the best as one.",
)
@as_json
@click.pass_context
def train(
    context: click.Context,
    /,
    output: Path | None,
    recipe_path: Path | None,
    models: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train ARCHITECTURE on DATASET into a folder.

    The folder gets the model, its settings, its metrics and its curves, all at once
    when the training is done. Names are those of `mtlzoo list`.

    With --recipe, train all seeds of a recipe and its single-task baselines, and with
    --publish make a bundle of the best seed. The same command goes on where it was
    stopped.

    \b
    mtlzoo train adult shared_bottom
    mtlzoo train adult mmoe -o num_experts=4 --trunk tabular -t units=128,64
    mtlzoo train --recipe models/mmoe.adult/1/recipe.yaml
    """  # noqa: D301
    if recipe_path is not None:
        _refuse_settings(context, settings)
        _recipe_command.run(recipe_path, output, models, as_json)
        return
    if models is not None:
        raise click.UsageError("--publish needs --recipe: a bundle holds its recipe.")
    if not (settings["dataset"] and settings["architecture"]):
        raise click.UsageError("Give DATASET and ARCHITECTURE, or --recipe FILE.")
    chosen = Settings(**settings)
    chosen.check()
    name = f"{chosen.dataset}-{chosen.architecture}-{chosen.seed}"
    folder = output or Path("runs") / name
    _folder.check_free(folder)
    load_tensorflow()
    dataset = _run.load_dataset(chosen)
    result = _run.train(chosen, dataset, chosen.architecture)
    _folder.save(result, folder)
    if as_json:
        print_json({"output": str(folder), **result.facts()})
    else:
        tasks = task_names(result.model)
        print_metrics(tasks, result.metrics["test"], "test")
    say(f"The run is in {folder}.")
    say_next(
        f"mtlzoo evaluate {folder}",
        f"mtlzoo export {folder} serving/{chosen.dataset}",
    )


def _refuse_settings(context: click.Context, settings: dict[str, Any]) -> None:
    given = [
        name
        for name in settings
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    ]
    if given:
        raise click.UsageError(f"--recipe says it all; leave out: {', '.join(given)}.")
