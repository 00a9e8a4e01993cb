import fnmatch
import re
from collections.abc import Iterable, Sequence

import keras

from mtlzoo._registry import did_you_mean
from mtlzoo._trainable._places import Place
from mtlzoo._trainable._stages import NORMALIZATIONS, stages
from mtlzoo.errors import OptionError, UnknownNameError

Choice = bool | str | Iterable[str]
"""See `mtlzoo._trainable`."""

_LORA = re.compile(r"lora:(\d+)")


def select(places: Sequence[Place], choice: Choice) -> list[Place]:
    """Return the places that a choice names, in order.

    Args:
        places: of `places`.
        choice: in the language of `mtlzoo._trainable`. `"lora:8"` names the low-rank
            changes that are there: `add_lora` makes them.

    Raises:
        UnknownNameError: a pattern or a stage that names nothing here.
        OptionError: it is not written in that language.
    """
    if isinstance(choice, bool):
        return list(places) if choice else []
    chosen: set[int] = set()
    for text in texts(choice):
        chosen |= {id(place.variable) for place in _select(places, text)}
    return [place for place in places if id(place.variable) in chosen]


def texts(choice: Choice) -> list[str]:
    """Return the texts of a choice that is one or several of them.

    Raises:
        OptionError: it is neither.
    """
    if isinstance(choice, bool):
        return []
    found = [choice] if isinstance(choice, str) else choice
    if not isinstance(found, Iterable) or not all(
        isinstance(one, str) for one in found
    ):
        raise OptionError(
            "What is to be trained must be True, False, 'last:3', 'stage:block_5', "
            "'batch_norm', 'bias', 'lora:8', a pattern over the paths of variables "
            f"such as 'trunk/*', or a list of these. Received: {choice!r}."
        )
    return list(found)


def lora_rank(choice: Choice) -> int | None:
    """Return the rank of the low-rank changes that a choice asks for, if any."""
    for text in texts(choice):
        if match := _LORA.fullmatch(text):
            rank = int(match.group(1))
            if rank >= 1:
                return rank
        if text.startswith("lora"):
            raise OptionError(
                "Low-rank changes are asked for by their rank, at least 1, as in "
                f"'lora:8'. Received: {text!r}."
            )
    return None


def _select(places: Sequence[Place], text: str) -> list[Place]:
    word, _, value = text.partition(":")
    if word == "last" and value:
        return _last(places, value)
    if word == "stage" and value:
        return _from_stage(places, value)
    if lora_rank(text):
        found = [one for one in places if one.variable.name.startswith("lora_")]
    elif text == "batch_norm":
        found = [one for one in places if _is_batch_norm(one)]
    elif text == "bias":
        found = [one for one in places if _is_bias(one)]
    else:
        found = _match(places, text)
    if not found:
        raise UnknownNameError(_nothing(places, text))
    return found


def _last(places: Sequence[Place], value: str) -> list[Place]:
    layers = list(dict.fromkeys(id(place.layer) for place in places))
    if not value.isdecimal() or not 1 <= int(value) <= len(layers):
        raise OptionError(
            f"'last:N' takes the last N layers that have weights, of {len(layers)} "
            f"here. Received: 'last:{value}'."
        )
    last = set(layers[-int(value) :])
    return [place for place in places if id(place.layer) in last]


def _from_stage(places: Sequence[Place], name: str) -> list[Place]:
    # 'block_1' is neither 'block_10' nor 'my_block_1'.
    begins = re.compile(rf"(?:^|/){re.escape(name.replace('.', '/'))}(?![0-9])")
    for index, place in enumerate(places):
        if begins.search(place.path.rpartition("/")[0]):
            return list(places[index:])
    raise UnknownNameError(_no_stage(places, name))


def _is_batch_norm(place: Place) -> bool:
    return isinstance(place.layer, keras.layers.BatchNormalization)


def _is_bias(place: Place) -> bool:
    if place.variable.name == "beta":
        return isinstance(place.layer, NORMALIZATIONS) and not _is_batch_norm(place)
    return place.variable.name.endswith("bias")


def _match(places: Sequence[Place], pattern: str) -> list[Place]:
    wanted = pattern.replace(".", "/")
    return [
        place
        for place in places
        if fnmatch.fnmatchcase(place.path, wanted)
        or fnmatch.fnmatchcase(place.path, f"{wanted}/*")
    ]


def _nothing(places: Sequence[Place], text: str) -> str:
    if not places:
        return f"{text!r} names nothing: there is no variable here that can be trained."
    known: dict[str, None] = {}
    for place in places:
        parts = place.path.split("/")
        ends = range(1, len(parts) + 1)
        known |= dict.fromkeys("/".join(parts[:end]) for end in ends)
        known |= dict.fromkeys(parts)
    hint = did_you_mean(text.removesuffix("/*"), known)
    shown = ", ".join(place.path for place in places[:8])
    more = f" and {len(places) - 8} more" if len(places) > 8 else ""
    return f"Nothing matches {text!r}.{hint} There is: {shown}{more}."


def _no_stage(places: Sequence[Place], name: str) -> str:
    known = stages(places)
    hint = did_you_mean(name, known)
    return f"There is no stage {name!r}.{hint} Stages: {', '.join(known) or 'none'}."
