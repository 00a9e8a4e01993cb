"""`mtlzoo train --recipe`: from a file to trained models."""

from pathlib import Path
from typing import Any

from mtlzoo.cli import _recipe, _run_recipe
from mtlzoo.cli._comparison import cells
from mtlzoo.cli._output import load_tensorflow, print_json, print_table, say
from mtlzoo.cli._results import print_metrics


def run(path: Path, output: Path | None, as_json: bool) -> None:
    """Train a recipe's models, as far as the folder doesn't hold them yet.

    Args:
        path: of the recipe.
        output: folder of the trainings; by default `runs/<name>`.
        as_json: whether to print JSON.
    """
    recipe = _recipe.read(path)
    folder = output or Path("runs") / recipe.name
    load_tensorflow()
    trained = _run_recipe.train(recipe, folder)
    if as_json:
        print_json({"output": str(folder), **facts(trained)})
    else:
        _print(trained)
    say(
        f"Of {recipe.seeds} seeds, {trained.seed} has the lowest validation loss. Its "
        f"model is {trained.model_path}."
    )


def facts(trained: _run_recipe.Trained) -> dict[str, Any]:
    """Return what `--json` prints: the numbers of the chosen seed, and the table."""
    record = trained.records[trained.seed]
    return {
        "name": trained.recipe.name,
        "seed": trained.seed,
        "model": str(trained.model_path),
        "metrics": {split: record[split] for split in ("validation", "test")},
        "table": trained.table,
    }


def _print(trained: _run_recipe.Trained) -> None:
    title = f"{trained.recipe.run.dataset}, test"
    if not trained.table:
        record = trained.records[trained.seed]
        print_metrics(list(record["headlines"]), record["test"], title)
        return
    metrics = [name.replace("_", " ") for name in trained.table[0]["metrics"]]
    print_table(
        ["method", *metrics, "delta_m (%)", "rank", "params", "MFLOPs", "step"],
        [cells(row) for row in trained.table],
        title=title,
    )
