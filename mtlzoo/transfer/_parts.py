"""The variables of a multi-task model, under the names that the toggles know."""

from typing import Any

from mtlzoo import _trainable
from mtlzoo._trainable import Choice, Place
from mtlzoo.balancing._prepare import shared_part
from mtlzoo.errors import OptionError
from mtlzoo.model import MultiTaskModel

NAMED = ("trunk", "sharing", "heads", "representation")
_WORDS = ("batch_norm", "bias")


def places(model: MultiTaskModel) -> list[Place]:
    """Return every variable of a model that can be trained, frozen or not.

    Their paths begin with `trunk`, `sharing` or `heads/<task>`. Layers that
    `mtlzoo.build` named say so themselves. A layer of another name belongs to the trunk
    if several tasks depend on it or if a representation does, else to the one task's
    head.

    Raises:
        OptionError: it is no multi-task model.
    """
    if not isinstance(model, MultiTaskModel):
        raise OptionError(
            "mtlzoo.transfer works on a MultiTaskModel; mtlzoo.build and "
            f"MultiTaskModel.from_functional make one. Received: {model!r}."
        )
    found = _trainable.places(model)
    unnamed = [one for one in found if one.path.split("/")[0] not in NAMED]
    if not unnamed:
        return found
    built = any(one.name.startswith("representation.") for one in model.layers)
    tasks_of = {} if built or len(model.tasks) == 1 else shared_part(model).tasks_of
    prefixes = {id(one.variable): _prefix(model, one, tasks_of) for one in unnamed}
    return [
        one._replace(path=prefixes.get(id(one.variable), "") + one.path)
        for one in found
    ]


def _prefix(model: MultiTaskModel, place: Place, tasks_of: dict[int, Any]) -> str:
    tasks = tasks_of.get(id(place.variable), ())
    return f"heads/{model.tasks[min(tasks)].name}/" if len(tasks) == 1 else "trunk/"


def trunk_places(model: MultiTaskModel) -> list[Place]:
    """Return the variables of the trunk that can be trained."""
    return [one for one in places(model) if one.path.split("/")[0] == "trunk"]


def trunk_stages(model: MultiTaskModel) -> dict[str, list[Place]]:
    """Return the variables of each stage of the trunk, first to last.

    Where tasks have trunks of their own, the same stage of each is one stage here.
    """
    apart = [task.name for task in model.tasks]
    return _trainable.stages(trunk_places(model), apart=apart)


def trained_places(model: MultiTaskModel) -> list[Place]:
    """Return the places that are trained."""
    frozen = set(_trainable.state(model).get("frozen", ()))
    return [one for index, one in enumerate(places(model)) if index not in frozen]


def chosen_places(model: MultiTaskModel, choice: Choice) -> list[Place]:
    """Return what a choice names: patterns of the whole model, words of the trunk.

    Raises:
        UnknownNameError: a pattern or a stage that names nothing here.
        OptionError: it is not written in the language of the toggles.
    """
    rank = _trainable.lora_rank(choice)
    if rank:
        _trainable.add_lora(trunk_places(model), rank)
    trunk = trunk_places(model)
    if isinstance(choice, bool):
        return _trainable.select(trunk, choice)
    everything = places(model)
    chosen: set[int] = set()
    for text in _trainable.texts(choice):
        among = trunk if ":" in text or text in _WORDS else everything
        chosen |= {id(one.variable) for one in _trainable.select(among, text)}
    return [one for one in everything if id(one.variable) in chosen]
