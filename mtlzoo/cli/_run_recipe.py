"""From a recipe to trained models and a table of what they are worth."""

import dataclasses
from pathlib import Path
from typing import Any

from mtlzoo.cli import _cells
from mtlzoo.cli._comparison import summarise
from mtlzoo.cli._recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Trained:
    """What the trainings of a recipe gave.

    Attributes:
        recipe: that was run.
        records: of all trainings of the published kind, by seed.
        baselines: of the single-task networks, by seed; none without a baseline.
        seed: whose weights are published: those of the lowest validation loss.
        model_path: the `.keras` file of these.
    """

    recipe: Recipe
    records: list[dict[str, Any]]
    baselines: list[dict[str, Any]]
    seed: int
    model_path: Path

    @property
    def table(self) -> list[dict[str, Any]]:
        """Rows of means and spreads, the baseline's first, if there is one."""
        return summarise([*self.baselines, *self.records]) if self.baselines else []


def train(recipe: Recipe, folder: Path) -> Trained:
    """Train what `folder` doesn't hold yet, and choose a seed on the validation rows.

    Args:
        recipe: of the trainings.
        folder: of their records; they go on where they stopped.

    Raises:
        DataError: the folder holds trainings of another recipe.
        ExportError: the folder can't be written.
    """
    published = recipe.run.architecture
    cells = recipe.cells
    _cells.check_records(cells, folder)
    records = list(
        _cells.run_cells(
            cells, folder, keep_model=lambda one: one.architecture == published
        )
    )
    ours = [one for one in records if one["settings"]["architecture"] == published]
    losses = [one["validation"]["loss"] for one in ours]
    seed = losses.index(min(losses))
    best = dataclasses.replace(recipe.run, seed=seed)
    return Trained(
        recipe,
        ours,
        [one for one in records if one not in ours],
        seed,
        _cells.model_path(folder, best),
    )
