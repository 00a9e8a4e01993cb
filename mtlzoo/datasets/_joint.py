from typing import Any

from mtlzoo.datasets._interleave import Interleaved, interleave
from mtlzoo.errors import TaskError
from mtlzoo.tasks import change_tasks


def joint(
    source: Any, target: Any, *, weight: float = 1.0, **options: Any
) -> Interleaved:
    """Return the stream on which a model minimises `L_source + weight * L_target`.

    Half of the rows of each batch come from either set, whatever their sizes, and the
    loss of a task is the mean over its labels; so each step minimises the sum of both
    sets' losses, and `weight` alone says what the target's count for. An epoch is as
    many batches as all rows of both would fill.

    Args:
        source: a data set, as for `interleave`.
        target: another one, with tasks of its own.
        weight: what the `loss_weight` of the target's tasks is multiplied by.
        **options: of `interleave`: `batch_size`, `steps_per_epoch`, `inputs`, `tasks`,
            `origin`, `seed`.

    Raises:
        TaskError: a task is in both sets: it has one loss, over the rows of both.

    Example:

    ```python
    stream = mtlzoo.datasets.joint(fashion, digits, weight=0.5)
    model = mtlzoo.build("shared_bottom", **stream.spec)
    model.fit(stream.train, epochs=5)
    ```
    """
    options = {"sampling": "alternate", "batches": "mixed", **options}
    stream = interleave({"source": source, "target": target}, **options)
    names = stream.tasks_of("target")
    if common := sorted(set(stream.tasks_of("source")) & set(names)):
        raise TaskError(
            f"{', '.join(common)}: a task of both data sets, so its loss is one, over "
            "the rows of both, and can't be weighted by set. Rename it in one, or use "
            "`interleave`."
        )
    weights = {
        task.name: weight * task.loss_weight
        for task in stream.tasks
        if task.name in names
    }
    stream.tasks = list(change_tasks(stream.tasks, {"loss_weight": weights}))
    return stream
