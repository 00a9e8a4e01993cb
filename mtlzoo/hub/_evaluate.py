from pathlib import Path
from typing import Any, NamedTuple

from mtlzoo import _bundles, datasets
from mtlzoo._bundles import DatasetInfo, MetricInfo, WeightsInfo
from mtlzoo.errors import BundleError

TOLERANCE = 1e-4


class Measured(NamedTuple):
    """A published metric, and what was measured now.

    Attributes:
        task: of the metric.
        metric: its name.
        published: value in the manifest.
        measured: value on the same rows.
        agrees: whether they differ by no more than the tolerance.
    """

    task: str
    metric: str
    published: float
    measured: float
    agrees: bool


def evaluate(
    name: str | Path, *, version: int | None = None, tolerance: float = TOLERANCE
) -> list[Measured]:
    """Measure a published bundle again, on the rows that its metrics name.

    Args:
        name: as for `load`.
        version: by default the newest.
        tolerance: the largest difference that agrees; relative above 1.

    Returns:
        One entry for each metric of the bundle.

    Raises:
        BundleError: the manifest doesn't say how to get the rows, or the model has no
            such metric.
        DataError: the rows are not on this machine.

    Example:

    ```python
    all(one.agrees for one in mtlzoo.hub.evaluate("mmoe.adult"))
    ```
    """
    bundle = _bundles.find(name, version)
    model = _bundles.build_model(bundle)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    answers = []
    for metric in bundle.info.metrics:
        rows = (metric.dataset, metric.split)
        if rows not in found:
            found[rows] = _evaluate(model, bundle.info, *rows)
        measured = found[rows].get(f"{metric.task}_{metric.metric}")
        if measured is None:
            raise BundleError(
                f"The model of {bundle.info.name!r} measures no {metric.metric!r} of "
                f"{metric.task!r}. It measures: {', '.join(sorted(found[rows]))}."
            )
        answers.append(_compare(metric, float(measured), tolerance))
    return answers


def _evaluate(
    model: Any, info: WeightsInfo, dataset: str, split: str
) -> dict[str, Any]:
    data = next((one for one in info.datasets if one.name == dataset), None)
    if data is None:
        raise BundleError(
            f"{info.name!r} was measured on {dataset!r}, which isn't among its "
            f"datasets: {', '.join(one.name for one in info.datasets)}."
        )
    rows = _rows(model, data, split)
    measured: dict[str, Any] = model.evaluate(rows, verbose=0, return_dict=True)
    return measured


def _rows(model: Any, data: DatasetInfo, split: str) -> Any:
    loaded = datasets.load(data.name, batch_size=1024, **data.options)
    names = [task.name for task in model.tasks]
    return getattr(loaded.only(names), split)


def _compare(metric: MetricInfo, measured: float, tolerance: float) -> Measured:
    difference = abs(measured - metric.value) / max(1.0, abs(metric.value))
    return Measured(
        metric.task, metric.metric, metric.value, measured, difference <= tolerance
    )
