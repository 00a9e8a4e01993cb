from typing import Any

from mtlzoo.errors import DataError


def require_tasks(model: Any, sentence: str) -> None:
    """Refuse a model that isn't a `MultiTaskModel`.

    Args:
        model: a Keras model.
        sentence: the beginning of the message, to which the model's class is added.

    Raises:
        DataError: the model has no tasks.
    """
    if not hasattr(model, "tasks"):
        raise DataError(
            f"{sentence} {type(model).__name__}, which knows of no tasks. Make it one "
            "that does: mtlzoo.MultiTaskModel.from_functional(model, tasks)."
        )
