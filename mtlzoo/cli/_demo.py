import time
from pathlib import Path
from typing import Any

import click

from mtlzoo.cli import _folder, _run
from mtlzoo.cli._output import (
    as_json,
    load_tensorflow,
    print_json,
    print_table,
    say,
    say_next,
    working,
)
from mtlzoo.cli._settings import Settings
from mtlzoo.errors import MissingExtraError

ARCHITECTURES = ("shared_bottom", "single_task")
BASELINE = "single_task"
METRIC = "auc"


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("mtlzoo-demo"),
    show_default=True,
    help="Folder for models, pictures and the export.",
)
@click.option("--epochs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@as_json
def demo(output: Path, epochs: int, seed: int, as_json: bool) -> None:
    """Train, compare, export and ask a model, on real data.

    Takes a minute or two.

    Predicts from census data who earns over 50,000 dollars and who never married, once
    with a network for both and once with a network for each.
    """
    start = time.perf_counter()
    load_tensorflow()
    runs = {
        name: Settings("adult", name, epochs=epochs, seed=seed)
        for name in ARCHITECTURES
    }
    dataset = _run.load_dataset(runs[BASELINE])
    tasks = [task.name for task in dataset.tasks]
    say(
        f"UCI Adult, in batches of {dataset.batch_size}: {dataset.sizes['train']:,} "
        f"people to learn from, {len(dataset.inputs)} inputs, to predict "
        f"{' and '.join(tasks)}.\n"
    )
    results = {}
    for name, settings in runs.items():
        results[name] = _run.train(settings, dataset, name)
        _folder.save(results[name], output / name, replace=True)
    histories = {name: result.history for name, result in results.items()}
    metrics = ["loss", *(f"{task}_{METRIC}" for task in tasks)]
    _folder.draw_curves(histories, output / "curves.png", metrics)
    _draw_model(results["shared_bottom"].model, output / "model.png")
    table = compare(results, tasks)
    row, answer, folder = _ask_export(results["shared_bottom"].model, dataset, output)
    if as_json:
        print_json({"output": str(output), "runs": table, "row": row, "answer": answer})
    else:
        _print_table(table, tasks)
        _print_answer(row, answer, folder)
    say(f"\nDone in {time.perf_counter() - start:.0f} s. Everything is in {output}/:")
    for path in sorted(path for path in output.iterdir() if path.name[0] != "."):
        say(f"  {path.name}")
    say_next(
        "mtlzoo list architectures",
        "mtlzoo show mmoe",
        "mtlzoo train adult mmoe -o num_experts=4",
        f"mtlzoo evaluate {output / 'shared_bottom'}",
    )


def compare(results: dict[str, Any], tasks: list[str]) -> list[dict[str, Any]]:
    """Return one row a model: the metric of each task, and what all that takes."""
    from mtlzoo.metrics import delta_m

    scores = {
        name: {task: result.metrics["test"][f"{task}_{METRIC}"] for task in tasks}
        for name, result in results.items()
    }
    return [
        {
            "model": name,
            **{f"{task}_{METRIC}": score for task, score in scores[name].items()},
            "delta_m": delta_m(scores[name], scores[BASELINE], higher_is_better=True),
            "parameters": result.parameters,
            "seconds": round(result.seconds, 1),
        }
        for name, result in results.items()
    ]


def _draw_model(model: Any, path: Path) -> None:
    try:
        model.plot(path)
    except MissingExtraError as error:
        say(f"No {path.name}: {error}")


def _ask_export(model: Any, dataset: Any, output: Path) -> Any:
    """Export a model and return a raw row, what the export answers, and its folder."""
    from mtlzoo import export

    x, _ = dataset.arrays("test")
    golden = {name: column[:8] for name, column in x.items()}
    with working("Exporting, and comparing the export with the model"):
        folder = export.saved_model(model, output / "serving" / "adult", golden=golden)
    row = {name: column[0].item() for name, column in x.items()}
    with export.load(folder) as exported:
        answers = exported({name: [value] for name, value in row.items()})
    answer = {task: float(values[0, 0]) for task, values in answers.items()}
    return row, answer, folder


def _print_table(table: list[dict[str, Any]], tasks: list[str]) -> None:
    print_table(
        [
            "model",
            *(f"{task} AUC" for task in tasks),
            "delta_m (%)",
            "parameters",
            "seconds",
        ],
        [
            (
                row["model"],
                *(f"{row[f'{task}_{METRIC}']:.4f}" for task in tasks),
                f"{row['delta_m']:+.2f}",
                f"{row['parameters']:,}",
                f"{row['seconds']:.1f}",
            )
            for row in table
        ],
        title="Test rows. delta_m: change against single_task; below 0 is better.",
    )


def _print_answer(row: dict[str, Any], answer: dict[str, float], folder: Path) -> None:
    shown = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in row.items()
    )
    click.echo(f"One raw row, as {folder} answers it to a server's clients:\n")
    click.echo(click.wrap_text(shown, 78, "  ", "  "))
    click.echo()
    for task, probability in answer.items():
        click.echo(f"  {task}: {probability:.1%}")
