"""Random sentences from templates of Home Assistant; needs the package hassil."""

import string
from collections.abc import Mapping
from typing import Any, NamedTuple

import hassil
import numpy as np

MAX_DEPTH = 40
"""Rules that refer to themselves end here."""

PUNCTUATION = str.maketrans("", "", string.punctuation)

Piece = tuple[str, str | None]
"""Text, and the slot that it fills, if any."""


class Tagged(NamedTuple):
    """A sentence and the tag of each of its words.

    Attributes:
        text: with its capitals and punctuation.
        tags: `B-<slot>` for the first word of a slot, `I-<slot>` for the others, `O`
            for words outside; one for each word that `mtlzoo.Text` finds in `text`.
    """

    text: str
    tags: tuple[str, ...]


class Sampler:
    """Draws sentences of one language.

    Args:
        rules: templates by the name by which others refer to them, `<name>`.
        lists: what slots may be filled with, `{name}`: templates, or `range` of
            numbers.
    """

    def __init__(
        self, rules: Mapping[str, str], lists: Mapping[str, list[str] | range]
    ) -> None:
        self._rules = rules
        self._lists = lists
        self._parsed: dict[str, Any] = {}
        self._bits: Any = None

    def draw(self, template: str, count: int, seed: Any) -> list[Tagged]:
        """Return up to `count` different sentences, the same for each seed."""
        self._bits = np.random.PCG64(seed)
        drawn: dict[Tagged, None] = {}
        for _ in range(3 * count):  # some templates have few sentences
            sentence = tag(self._walk(self._parse(template)))
            if sentence.tags:
                drawn[sentence] = None
            if len(drawn) == count:
                break
        return list(drawn)

    def _parse(self, template: str) -> Any:
        if template not in self._parsed:
            self._parsed[template] = hassil.parse_sentence(template).expression
        return self._parsed[template]

    def _below(self, count: int) -> int:
        return int(self._bits.random_raw()) % count

    def _walk(self, node: Any, slot: str | None = None, depth: int = 0) -> list[Piece]:
        if depth > MAX_DEPTH:
            return []
        if isinstance(node, hassil.TextChunk):
            return [(node.original_text, slot)]
        if isinstance(node, hassil.RuleReference):
            node = self._parse(self._rules[node.rule_name])
            return self._walk(node, slot, depth + 1)
        if isinstance(node, hassil.ListReference):
            values = self._lists[node.list_name]
            value = str(values[self._below(len(values))])
            return self._walk(self._parse(value), node.slot_name, depth + 1)
        if isinstance(node, hassil.Alternative):
            item = node.items[self._below(len(node.items))]
            return self._walk(item, slot, depth + 1)
        items = list(node.items)
        if isinstance(node, hassil.Permutation):
            items = [items.pop(self._below(len(items))) for _ in node.items]
        return [piece for item in items for piece in self._walk(item, slot, depth + 1)]


def tag(pieces: list[Piece]) -> Tagged:
    """Return the text of `pieces`, with a tag for each word.

    A word that is partly in a slot, such as `50%`, is in it.
    """
    spans = merge(pieces)
    text = "".join(part for part, _ in spans)
    # The number of the span that each letter is from; 0 where it fills no slot.
    owners = [
        number if slot else 0
        for number, (part, slot) in enumerate(spans, start=1)
        for _ in part
    ]
    tags, last, start = [], 0, 0
    for word in text.split(" "):
        owner = max(owners[start : start + len(word)], default=0)
        start += len(word) + 1
        if not word.translate(PUNCTUATION):
            continue  # to `mtlzoo.Text` it is no word
        prefix = "I" if owner == last else "B"
        tags.append(f"{prefix}-{spans[owner - 1][1]}" if owner else "O")
        last = owner
    return Tagged(" ".join(text.split()), tuple(tags))


def merge(pieces: list[Piece]) -> list[Piece]:
    """Join neighbours of the same slot: one value that came in parts."""
    joined: list[Piece] = []
    for text, slot in pieces:
        if joined and joined[-1][1] == slot:
            joined[-1] = (joined[-1][0] + text, slot)
        else:
            joined.append((text, slot))
    return joined
