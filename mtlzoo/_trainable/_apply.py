from collections.abc import Iterable
from typing import Any

from mtlzoo._trainable._lora import add_lora
from mtlzoo._trainable._places import Place, children, own_variables, places
from mtlzoo._trainable._select import Choice, lora_rank, select


def set_trainable(model: Any, choice: Choice) -> list[Place]:
    """Train what `choice` names of a layer or model, and nothing else of it.

    Args:
        model: a built Keras layer or model.
        choice: in the language of `mtlzoo._trainable`.

    Returns:
        What is trained.

    Raises:
        UnknownNameError: a pattern or a stage that names nothing here.
        OptionError: it is not written in that language.
    """
    rank = lora_rank(choice)
    if rank:
        add_lora(places(model), rank)
    chosen = select(places(model), choice)
    set_chosen(model, chosen)
    return chosen


def set_chosen(model: Any, chosen: Iterable[Place]) -> None:
    """Train the chosen variables of a layer or model, and freeze all others of it.

    A layer of which nothing is trained is frozen as a whole, so that a batch
    normalisation then uses its statistics and leaves them alone.
    """
    _set(model, {id(place.variable) for place in chosen})


def _set(layer: Any, chosen: set[int]) -> None:
    held = {id(place.variable) for place in places(layer)}
    if not held:
        return
    own = {id(one) for one in own_variables(layer)}
    # What only holds other layers stays trainable, and leaves the choice to them. The
    # setter of Keras goes down to all that a layer holds, so it comes before those.
    trained = bool(held & chosen) or not own
    if layer.trainable != trained:
        layer.trainable = trained
    for child in children(layer):
        _set(child, chosen)
    for variable in layer._trainable_variables:
        variable.trainable = id(variable) in own & chosen
