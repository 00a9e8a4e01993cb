import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mtlzoo.errors import OptionError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._parts import trunk_stages
from mtlzoo.transfer._schedules import Scaled


@keras.saving.register_keras_serializable("mtlzoo")
class LayerwiseOptimizer(keras.optimizers.MultiOptimizer):
    """Keras's `MultiOptimizer`, for batches in which tasks may be absent.

    What has no gradient in a batch, such as the head of a task without labels, is left
    alone, as by every other optimizer of Keras. Clipping and averages work on each
    group of variables by itself.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        groups: dict[int, list[Any]] = {}
        for pair in zip(grads, trainable_variables, strict=True):
            groups.setdefault(id(self._optimizer_map(pair[1])), []).append(pair)
        for optimizer in self.optimizers:
            pairs = groups.get(id(optimizer), [])
            # Keras refuses a group of which nothing has a gradient.
            if any(gradient is not None for gradient, _ in pairs):
                optimizer.apply(*map(list, zip(*pairs, strict=True)))
        self.iterations.assign_add(1)


def layerwise_learning_rates(
    model: MultiTaskModel,
    base: Any = 1e-3,
    decay: float = 0.75,
    *,
    optimizer: Any = "adam",
) -> LayerwiseOptimizer:
    """Return an optimizer whose learning rate is the lower, the deeper in the trunk.

    Heads, and all else that is no part of the trunk, have the rate `base`; the last
    stage of the trunk has `base * decay`, the one before `base * decay ** 2`, and so
    on. What is pretrained moves little, what is new moves freely.

    Args:
        model: a multi-task model; see `trainable_report` and the names of its layers
            for what its stages are.
        base: the learning rate of the heads: a number, or a schedule, such as
            `transfer.WarmUp(1e-3, steps=200)`.
        decay: from each stage to the one below it; above 0, at most 1.
        optimizer: a Keras optimizer or its name, of which each stage gets one of its
            own. Its learning rate doesn't count.

    Returns:
        An optimizer for `model.compile`. Its parts, in `optimizers`, are named by their
        stages, and so are the learning rates in the logs of Keras.

    Raises:
        OptionError: `decay` is out of range, or the optimizer is made of others.

    Example:

    ```python
    optimizer = transfer.layerwise_learning_rates(model, 1e-3, 0.7)
    model.compile(optimizer, balancing=model.balancing)
    ```

    Reference: Kevin Clark, Minh-Thang Luong, Quoc V. Le, Christopher D. Manning,
    *ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators*, ICLR
    2020, <https://arxiv.org/abs/2003.10555>, appendix B.
    """
    if not 0.0 < decay <= 1.0:
        raise OptionError(
            f"`decay` must be above 0 and at most 1. Received: decay={decay}."
        )
    like = keras.optimizers.get(optimizer)
    wraps = (keras.optimizers.MultiOptimizer, keras.optimizers.LossScaleOptimizer)
    if isinstance(like, wraps):
        raise OptionError(
            "`optimizer` must be a plain one, such as 'adam', of which each stage gets "
            f"its own. Received: {type(like).__name__}."
        )
    stages = {
        name: [one.variable.path for one in stage]
        for name, stage in trunk_stages(model).items()
    }
    deepest = len(stages)
    others = {variable.path for variable in model.variables}
    others -= {path for paths in stages.values() for path in paths}
    optimizers: dict[str, Any] = {}
    for index, (name, paths) in enumerate(stages.items()):
        factor = decay ** (deepest - index)
        pattern = _pattern(paths, others.union(*_without(stages, name)))
        optimizers[pattern] = _one(like, base, factor, name)
    rest = _one(like, base, 1.0, "heads")
    return LayerwiseOptimizer(
        keras.optimizers.OptimizerMap(rest, optimizers), name="layerwise"
    )


def _one(like: Any, base: Any, factor: float, name: str) -> Any:
    """Return an optimizer with the settings of `like` and a rate of its own."""
    rate = Scaled(base, factor) if callable(base) else float(base) * factor
    config = {**like.get_config(), "learning_rate": 0.0, "name": name}
    if not callable(base):
        return type(like).from_config({**config, "learning_rate": rate})
    config["learning_rate"] = keras.optimizers.schedules.serialize(rate)
    return type(like).from_config(config)


def _without(stages: Mapping[str, list[str]], name: str) -> list[list[str]]:
    return [paths for other, paths in stages.items() if other != name]


def _pattern(paths: Sequence[str], others: set[str]) -> str:
    """Return a regular expression for all variables below what only `paths` have.

    Keras may number the layers inside of a layer anew in another process, so a path is
    cut as early as no other variable begins like it.
    """
    starts: dict[str, None] = {}
    for path in paths:
        names = path.split("/")
        for end in range(1, len(names) + 1):
            start = "/".join(names[:end])
            if not any(f"{other}/".startswith(f"{start}/") for other in others):
                break
        starts[re.escape(start)] = None
    return f"(?:{'|'.join(starts)})(?:/.*)?"
