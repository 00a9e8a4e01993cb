from collections.abc import Sequence
from typing import Any

import keras


def tied_matrices(
    model: Any, tasks: Sequence[str], *, embeddings: bool = True
) -> list[list[Any]]:
    """Return the weight matrices of the tasks' trunks that correspond to each other.

    Args:
        model: whose layers are searched, by their names `trunk.<task>.*`.
        tasks: the names of the tasks.
        embeddings: whether to count those of embedding layers.

    Returns:
        For each trainable variable of two or more axes that all trunks have in the same
        shape, a list with that of each task.
    """
    layers = {layer.name: layer for layer in model.layers}
    # Task names hold no dots, so the prefix of `click` is none of `click_buy`.
    first = f"trunk.{tasks[0]}."
    groups = []
    for name in layers:
        if not name.startswith(first):
            continue
        others = [f"trunk.{task}.{name.removeprefix(first)}" for task in tasks]
        if not layers.keys() >= set(others):
            continue
        if isinstance(layers[name], keras.layers.Embedding) and not embeddings:
            continue
        variables = [layers[other].trainable_variables for other in others]
        groups += [
            list(group)
            for group in zip(*variables, strict=False)
            if len(group[0].shape) >= 2 and len({one.shape for one in group}) == 1
        ]
    return groups
