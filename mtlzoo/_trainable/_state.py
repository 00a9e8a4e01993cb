from collections.abc import Iterator
from typing import Any

from mtlzoo._trainable._apply import set_chosen
from mtlzoo._trainable._lora import has_lora, merge_lora
from mtlzoo._trainable._places import children, places


def state(model: Any) -> dict[str, Any]:
    """Return what is frozen and which layers have low-rank changes, as plain data.

    Keras keeps the flag of each layer of a graph, and neither those of variables nor
    those of layers inside layers. Positions stand for names, as in Keras's own files.

    Returns:
        A dict for `restore`, empty if all is trained as it is in a new model.
    """
    found: dict[str, Any] = {}
    frozen = [
        index for index, place in enumerate(places(model)) if not _is_trained(place)
    ]
    if frozen:
        found["frozen"] = frozen
    lora = {
        str(index): layer.lora_rank
        for index, layer in enumerate(layers(model))
        if has_lora(layer)
    }
    if lora:
        found["lora"] = lora
    return found


def restore(model: Any, state: dict[str, Any]) -> None:
    """Make a new model of the same config as frozen and changed as `state` says."""
    inside = list(layers(model))
    for index, rank in state.get("lora", {}).items():
        if not has_lora(inside[int(index)]):
            inside[int(index)].enable_lora(rank)
    if "frozen" in state:
        frozen = set(state["frozen"])
        there = enumerate(places(model))
        set_chosen(model, [place for index, place in there if index not in frozen])


def without_lora(model: Any) -> Any:
    """Return `model`, or where it has low-rank changes, a copy that has them merged."""
    if not any(map(has_lora, layers(model))):
        return model
    copy = type(model).from_config(model.get_config())
    restore(copy, state(model))
    copy.set_weights(model.get_weights())
    merge_lora(layers(copy))
    return copy


def layers(model: Any) -> Iterator[Any]:
    """Return all layers of a model, those inside others too, each once."""
    seen: set[int] = set()
    waiting = children(model)
    while waiting:
        layer = waiting.pop(0)
        if id(layer) not in seen:
            seen.add(id(layer))
            yield layer
            waiting += children(layer)


def _is_trained(place: Any) -> bool:
    statistics = place.variable.name == "moving_mean"  # never trainable by itself
    return bool(place.layer.trainable and (place.variable.trainable or statistics))
