"""From the trainings of a recipe to a bundle."""

import shlex
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mtlzoo.cli import _folder, _run
from mtlzoo.cli._results import owner
from mtlzoo.cli._run_recipe import Trained

LESS_IS_BETTER = ("mae", "poisson")
"""Metrics of which less is better, besides those that a task's headline names."""

EXAMPLES = 4
"""Rows of the test split that become the golden inputs."""


def publish(trained: Trained, recipe_path: Path, directory: Path) -> Path:
    """Write the bundle of the chosen seed, with its recipe, and return its folder.

    Args:
        trained: the trainings.
        recipe_path: the file of the recipe.
        directory: of all bundles.

    Raises:
        BundleError: the version is published already.
    """
    from mtlzoo import hub

    model = _folder.load_model(trained.model_path)
    x, _ = _run.load_dataset(trained.recipe.run).arrays("test")
    return hub.publish(
        model,
        directory,
        weights_info(trained, recipe_path, directory),
        examples={name: column[:EXAMPLES] for name, column in x.items()},
        base=trained.recipe.base,
        # It would hold the weights of the base once more, for each head.
        saved_model=trained.recipe.base is None,
        files={"recipe.yaml": recipe_path.read_bytes()},
    )


def weights_info(trained: Trained, recipe_path: Path, directory: Path) -> Any:
    """Return the manifest's first part: what the recipe says and the trainings gave."""
    from mtlzoo import hub

    recipe = trained.recipe
    in_bundle = directory / recipe.name / str(recipe.version) / "recipe.yaml"
    command = shlex.join(["mtlzoo", "train", "--recipe", in_bundle.as_posix()])
    baseline = min(
        trained.baselines, key=lambda one: one["validation"]["loss"], default=None
    )
    delta_m, deviation = trained.table[-1]["delta_m"] if trained.table else (None, None)
    return hub.WeightsInfo(
        name=recipe.name,
        version=recipe.version,
        architecture=recipe.run.architecture,
        description=recipe.description,
        license=recipe.license,
        metrics=tuple(_metrics(trained.records[trained.seed], trained.records)),
        recipe=hub.RecipeInfo(command, commit(), trained.seed),
        datasets=(
            hub.DatasetInfo(
                recipe.run.dataset,
                recipe.data_license,
                recipe.data_source,
                recipe.provenance,
                recipe.run.dataset_options,
            ),
        ),
        single_task_metrics=(
            tuple(_metrics(baseline, trained.baselines)) if baseline else ()
        ),
        delta_m=delta_m,
        delta_m_std=deviation,
        use=recipe.use,
        limits=recipe.limits,
        papers=recipe.papers,
    )


def _metrics(chosen: dict[str, Any], records: list[dict[str, Any]]) -> Iterator[Any]:
    """Yield the metrics of one training, with their spread over all of them."""
    from mtlzoo import hub

    for task, (headline, higher) in chosen["headlines"].items():
        prefix = f"{task}_"
        for name, value in chosen["test"].items():
            metric = name.removeprefix(prefix)
            if owner(name, list(chosen["headlines"])) != task or metric == "loss":
                continue
            values = [one["test"][name] for one in records]
            yield hub.MetricInfo(
                task,
                metric,
                value,
                chosen["settings"]["dataset"],
                mean=statistics.mean(values),
                std=statistics.stdev(values) if len(values) > 1 else None,
                seeds=len(values),
                higher_is_better=(
                    higher if metric == headline else metric not in LESS_IS_BETTER
                ),
            )


def commit() -> str:
    """Return the commit that mtlzoo runs from, or nothing where it is installed."""
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() if found.returncode == 0 else ""
