"""The variables of a multi-task model, under the names that the toggles know."""

from collections.abc import Callable

from mtlzoo import _trainable
from mtlzoo._graph import steps
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
    if a representation depends on it; where there are none, if several tasks do, and
    else to the one task's head.

    Raises:
        OptionError: it is no multi-task model.
    """
    if not isinstance(model, MultiTaskModel):
        raise OptionError(
            "mtlzoo.transfer works on a MultiTaskModel; mtlzoo.build and "
            f"MultiTaskModel.from_functional make one. Received: {model!r}."
        )
    found = _trainable.places(model)
    if all(_is_named(one) for one in found):
        return found
    prefix_of = _prefixes(model)
    return [
        one if _is_named(one) else one._replace(path=prefix_of(one) + one.path)
        for one in found
    ]


def _is_named(place: Place) -> bool:
    return place.path.split("/")[0] in NAMED


def _prefixes(model: MultiTaskModel) -> Callable[[Place], str]:
    """Return a function that tells the part of a variable whose path doesn't."""
    marked = [
        tensor
        for step in steps(list(model.outputs))
        if step.layer.name.startswith("representation.")
        for tensor in step.inputs
    ]
    if marked:
        before = [_trainable.path_of(step.layer.name) for step in steps(marked)]
        return lambda place: (
            "trunk/"
            if any(f"{place.path}/".startswith(f"{one}/") for one in before)
            else ""  # what helps to train the model, such as a discriminator
        )
    tasks_of = shared_part(model).tasks_of

    def prefix(place: Place) -> str:
        tasks = tasks_of.get(id(place.variable), ())
        alone = len(tasks) == 1 and len(model.tasks) > 1
        return f"heads/{model.tasks[min(tasks)].name}/" if alone else "trunk/"

    return prefix


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
