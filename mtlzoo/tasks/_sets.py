from collections.abc import Mapping, Sequence
from typing import Any

from mtlzoo.errors import TaskError
from mtlzoo.tasks._base import Task


def check_tasks(tasks: Any, minimum: int = 1) -> list[Task]:
    """Return `tasks` as a list with distinct names, else raise `TaskError`."""
    tasks = [tasks] if isinstance(tasks, Task) else list(tasks or [])
    for task in tasks:
        if not isinstance(task, Task):
            raise TaskError(
                "`tasks` must hold tasks, such as "
                f"mtlzoo.tasks.Binary('income'). Received: {task!r}."
            )
    names = [task.name for task in tasks]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise TaskError(
            f"Each task needs a name of its own. Used more than once: "
            f"{', '.join(repeated)}."
        )
    if len(tasks) < minimum:
        raise TaskError(
            f"At least {minimum} task{'s are' if minimum > 1 else ' is'} needed. "
            f"Received: {len(tasks)}."
        )
    return tasks


def change_tasks(tasks: Sequence[Task], changes: Mapping[str, Any]) -> tuple[Task, ...]:
    """Return `tasks` with some arguments of some of them changed.

    Args:
        tasks: the tasks.
        changes: for each argument of a task, a dict of new values by task name, or
            `None` for no change.

    Raises:
        TaskError: a change is no dict keyed by these tasks.
    """
    names = [task.name for task in tasks]
    for argument, by_task in changes.items():
        if by_task is not None and (
            not isinstance(by_task, Mapping) or set(by_task) - set(names)
        ):
            raise TaskError(
                f"`{argument}` must be a dict keyed by tasks among {names}. "
                f"Received: {by_task!r}."
            )

    def changed(task: Task) -> Task:
        new = {
            argument: by_task[task.name]
            for argument, by_task in changes.items()
            if by_task and task.name in by_task
        }
        return type(task)(**{**task.get_config(), **new}) if new else task

    return tuple(changed(task) for task in tasks)
