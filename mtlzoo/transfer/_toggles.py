from collections.abc import Iterable

from mtlzoo import _trainable
from mtlzoo._toggled import follow
from mtlzoo._trainable import Choice, Place
from mtlzoo.errors import OptionError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._parts import (
    chosen_places,
    places,
    trained_places,
    trunk_places,
)


def freeze(model: MultiTaskModel, choice: Choice = True) -> list[str]:
    """Stop training what `choice` names; all else stays as it is.

    The next `fit` does so, whether or not the model has been compiled or trained
    before; the optimizer keeps its state for what stays. A batch normalisation of which
    nothing is trained uses its statistics, and leaves them as they are.

    Args:
        model: a multi-task model.
        choice: what to freeze; see `mtlzoo.transfer` for the language. By default the
            trunk.

    Returns:
        The paths of the variables that it names.

    Raises:
        UnknownNameError: a pattern or a stage that names nothing in the model; the
            message lists close names.
        OptionError: `choice` is not written in that language.

    Example:

    ```python
    transfer.freeze(model)  # the trunk
    transfer.freeze(model, "batch_norm")
    transfer.freeze(model, ["trunk/dense_1", "heads/income/*"])
    ```
    """
    if _trainable.lora_rank(choice):
        raise OptionError(
            "'lora:N' is for what is trained. To freeze low-rank changes that are "
            "there, freeze(model, '*/lora_*')."
        )
    named = chosen_places(model, choice)
    gone = {id(one.variable) for one in named}
    left = [one for one in trained_places(model) if id(one.variable) not in gone]
    return _train(model, left, named)


def unfreeze(model: MultiTaskModel, choice: Choice = True) -> list[str]:
    """Train what `choice` names, beside what is trained already.

    Args:
        model: a multi-task model.
        choice: what to train; see `mtlzoo.transfer` for the language. By default the
            trunk. `"lora:8"` adds low-rank changes and trains them; the matrices that
            they change are frozen.

    Returns:
        The paths of the variables that it names.

    Raises:
        UnknownNameError: a pattern or a stage that names nothing in the model; the
            message lists close names.
        OptionError: `choice` is not written in that language.

    Example:

    ```python
    transfer.unfreeze(model, "last:2")
    transfer.unfreeze(model, "stage:block_5")
    ```
    """
    named = chosen_places(model, choice)
    return _train(model, [*trained_places(model), *named], named)


def set_trainable(model: MultiTaskModel, choice: Choice) -> list[str]:
    """Train what `choice` names of the trunk, and freeze the rest of the trunk.

    What is no part of the trunk stays as it is. It is what
    `mtlzoo.trunks.Pretrained(trainable=...)` does when a model is built.

    Args:
        model: a multi-task model.
        choice: what to train; see `mtlzoo.transfer` for the language.

    Returns:
        The paths of the variables that it names.

    Raises:
        UnknownNameError: a pattern or a stage that names nothing in the model; the
            message lists close names.
        OptionError: `choice` is not written in that language.

    Example:

    ```python
    transfer.set_trainable(model, "lora:8")
    transfer.set_trainable(model, ["last:2", "bias"])
    ```
    """
    named = chosen_places(model, choice)
    trunk = {id(one.variable) for one in trunk_places(model)}
    others = [one for one in trained_places(model) if id(one.variable) not in trunk]
    return _train(model, [*others, *named], named)


def merge_lora(model: MultiTaskModel) -> MultiTaskModel:
    """Add low-rank changes to the weights that they change, and take them away.

    The model predicts as before, and costs what it did without them. The weights that
    were changed stay frozen until `unfreeze`.

    Args:
        model: a multi-task model; it is changed itself, and returned.

    Raises:
        OptionError: it has no low-rank changes.
    """
    layers = list(_trainable.layers(model))
    if not any(map(_trainable.has_lora, layers)):
        raise OptionError(
            "The model has no low-rank changes. transfer.set_trainable(model, "
            "'lora:8') makes them."
        )
    trained = trained_places(model)
    _trainable.merge_lora(layers)
    left = {id(one.variable) for one in places(model)}
    _train(model, [one for one in trained if id(one.variable) in left], [])
    return model


def _train(
    model: MultiTaskModel, chosen: Iterable[Place], named: Iterable[Place]
) -> list[str]:
    _trainable.set_chosen(model, chosen)
    if model.compiled:
        follow(model)
    return [one.path for one in named]
