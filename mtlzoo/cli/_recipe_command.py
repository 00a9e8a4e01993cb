"""`mtlzoo train --recipe`: from a file to trained models, and to a bundle."""

from pathlib import Path
from typing import Any

from mtlzoo.cli import _publish_recipe, _recipe, _run_recipe
from mtlzoo.cli._comparison import cells, columns, explanation
from mtlzoo.cli._output import (
    load_tensorflow,
    print_json,
    print_table,
    say,
    say_next,
    working,
)
from mtlzoo.cli._results import print_metrics
from mtlzoo.errors import BundleError


def run(path: Path, output: Path | None, models: Path | None, as_json: bool) -> None:
    """Train a recipe's models, as far as the folder doesn't hold them yet.

    Args:
        path: of the recipe.
        output: folder of the trainings; by default `runs/<name>`.
        models: folder of bundles that the best one is written to, if any.
        as_json: whether to print JSON.
    """
    recipe = _recipe.read(path)
    folder = output or Path("runs") / recipe.name
    if models is not None:
        _refuse_published(models / recipe.name / str(recipe.version))
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
    if models is not None:
        with working("Publishing"):
            bundle = _publish_recipe.publish(trained, path, models)
        say(f"It is published in {bundle}.")
        where = bundle if bundle.is_absolute() else f"./{bundle}"
        say_next(f"mtlzoo evaluate {where}")


def _refuse_published(folder: Path) -> None:
    if folder.exists():
        raise BundleError(
            f"{str(folder)!r} is published already, and a version never changes. Raise "
            "the version in the recipe, or leave out --publish to train alone."
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
    print_table(
        columns(trained.table), [cells(row) for row in trained.table], title=title
    )
    say("\n".join(explanation(trained.table)))
