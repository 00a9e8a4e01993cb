import functools
import hashlib
import importlib.resources
import importlib.util
import json
import string
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mtlzoo._registry import DATASETS, unknown_name
from mtlzoo.datasets._checks import SPLITS
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._packaged import INSTALL, read_packaged
from mtlzoo.errors import DataError, MissingExtraError
from mtlzoo.features import Text
from mtlzoo.tasks import Multiclass, SequenceTagging, Task

SHA256 = {
    "de": "e4f72dde27bee2f04225ec5716c8776c5f95310022cb7668af5929e0056df7a7",
    "en": "0b9d606a216b1712409a3d822a8edfb9ff4458e51e421792882ea24e0ce1d456",
    "es": "41d6be5446d7dd2cfa20f0ee355a158d6f8a408340214c4cbd6ce0f00cacb4ba",
    "fr": "1bf13b8ca7d92e0793ea098e22ffe2ed440d640e8320dc367d71efe9804b947f",
}
LENGTH = 24
"""Words of a sentence, at most; longer ones are left out."""
HELD_OUT = 0.15
"""The share of an intent's templates in validation, and in test."""
PUNCTUATION = str.maketrans("", "", string.punctuation)


class Row(NamedTuple):
    """One sentence with its labels."""

    text: str
    tags: tuple[str, ...]
    intent: str
    language: str

    @property
    def pattern(self) -> tuple[str, ...]:
        """Its words, with a slot's name for each slot's value."""
        words = self.text.lower().translate(PUNCTUATION).split()
        return tuple(
            word if mark == "O" else mark
            for word, mark in zip(words, self.tags, strict=True)
            if not mark.startswith("I-")
        )


@DATASETS.register(
    "home_intents",
    kind="text",
    rows=24_684,
    licence="Apache-2.0 (as part of home-assistant-intents)",
    source="https://github.com/OHF-Voice/intents",
    needs='pip install "mtlzoo[data]"',
)
def home_intents(
    *,
    languages: Sequence[str] = ("de", "en", "es", "fr"),
    sentences: int = 6_000,
    seed: int = 0,
) -> Dataset:
    """What people say to a smart home: the intent, its slots and the language.

    Sentences are drawn from the templates that speakers of German, English, Spanish and
    French wrote for Home Assistant, such as
    `<turn> on [(<all>|<the>)] <light> <in> [<the>] {area}`: every choice is a fair
    draw, the same on every machine. The names of rooms, devices, lists and the like,
    which the templates leave to each household, are drawn from short lists that come
    with mtlzoo (`mtlzoo/datasets/data/home_intents.json`).

    Tasks:

    - `intent`, multiclass: what is wanted, such as `HassTurnOn`;
    - `slots`, sequence tagging: for each word, whether it begins (`B-area`) or
      continues (`I-area`) a value, or is outside of them (`O`);
    - `language`, multiclass, where there are several.

    The input is `text`. The split is by template, about 70 % of an intent's templates
    for training and 15 % each for validation and test; and no pattern, which is a
    sentence with names for the values of its slots, is in two splits. Still,
    templates share their writers and phrases, so this is easier than what people say
    unasked; and some sentences are stiff, or wrong in gender or number, for templates
    are written to understand and not to speak.

    Args:
        languages: some of `de`, `en`, `es`, `fr`.
        sentences: drawn a language, about, before doubles are left out.
        seed: of the draws; the split of the templates doesn't depend on it.

    Raises:
        MissingExtraError: home-assistant-intents, which carries the templates, or
            hassil, which reads them, is absent.
        DataError: home-assistant-intents carries other templates than expected, or a
            language is none of the four.

    Reference: The Home Assistant Authors, *Home Assistant Intents*,
    <https://github.com/OHF-Voice/intents>, Apache-2.0.
    """
    for language in languages:
        if language not in SHA256:
            raise DataError(
                unknown_name(
                    "language of the data set 'home_intents'", language, SHA256
                )
            )
    rows = draw_rows(tuple(languages), sentences, seed)
    train = rows["train"]
    intents = sorted({row.intent for row in train})
    tags = sorted({mark for row in train for mark in row.tags}, key=_outside_first)
    tasks: list[Task] = [Multiclass("intent", intents), SequenceTagging("slots", tags)]
    if len(languages) > 1:
        tasks.append(Multiclass("language", list(languages)))
    texts = {split: np.array([row.text for row in rows[split]]) for split in SPLITS}
    return Dataset(
        "home_intents",
        {
            split: (
                {"text": texts[split]},
                {
                    "intent": np.array([row.intent for row in rows[split]]),
                    "slots": _tag_labels(rows[split], tags),
                    "language": np.array([row.language for row in rows[split]]),
                },
            )
            for split in SPLITS
        },
        inputs={"text": Text.from_values(texts["train"], length=LENGTH, dimension=32)},
        tasks=tasks,
    )


@functools.cache
def draw_rows(
    languages: tuple[str, ...], sentences: int, seed: int
) -> dict[str, list[Row]]:
    """Return the rows of each split, without intents and tags that training lacks."""
    if importlib.util.find_spec("hassil") is None:
        raise MissingExtraError(
            "The data set 'home_intents' needs the package hassil. Install it by: "
            f"{INSTALL}"
        )
    drawn: dict[str, dict[str, list[Row]]] = {}
    for position, language in enumerate(languages):
        templates, sampler, list_sampler = read_templates(language)
        count = -(-sentences // len(templates))
        for number, (intent, template) in enumerate(templates):
            chosen = list_sampler if intent.startswith("HassList") else sampler
            found = chosen.draw(template, count, (seed, position, number))
            drawn.setdefault(intent, {})[f"{language} {template}"] = [
                Row(one.text, one.tags, intent, language)
                for one in found
                if len(one.tags) <= LENGTH
            ]
    rows: dict[str, list[Row]] = {split: [] for split in SPLITS}
    for by_template in drawn.values():
        for split, names in split_templates(by_template).items():
            rows[split] += [row for name in names for row in by_template[name]]
    return _without_doubles(rows)


def split_templates(templates: Any) -> dict[str, list[str]]:
    """Return which of an intent's templates go to which split, by their digests.

    An intent of fewer than three templates goes to none.
    """
    ordered = sorted(templates, key=lambda one: hashlib.sha256(one.encode()).digest())
    held_out = max(1, round(HELD_OUT * len(ordered)))
    if len(ordered) < 3:
        return {}
    return {
        "validation": ordered[:held_out],
        "test": ordered[held_out : 2 * held_out],
        "train": ordered[2 * held_out :],
    }


def read_templates(language: str) -> tuple[list[tuple[str, str]], Any, Any]:
    """Return a language's intents with their templates, and what draws from them.

    What draws is returned twice: to most intents `{name}` is a device, to those that
    are about to-do lists it is a list.
    """
    from mtlzoo.datasets._sentence_sampler import Sampler

    content = read_packaged(
        "home_intents",
        "home_assistant_intents",
        "home-assistant-intents 2026.10.27",
        f"data/{language}.json",
        SHA256[language],
    )
    table = json.loads(content)
    values = importlib.resources.files("mtlzoo.datasets") / "data" / "home_intents.json"
    ours = json.loads(values.read_text("utf-8"))[language]
    lists = {name: _values(one) for name, one in table["lists"].items()} | ours
    rules = table["expansion_rules"]
    templates = [
        (intent, template)
        for intent, entry in table["intents"].items()
        for group in entry["data"]
        for template in group["sentences"]
    ]
    to_do = {**lists, "name": ours["todo_list"]}
    return templates, Sampler(rules, lists), Sampler(rules, to_do)


def _values(entry: dict[str, Any]) -> list[str] | range:
    if "range" in entry:
        one = entry["range"]
        return range(one["from"], one["to"] + 1, one.get("step", 1))
    return [value["in"] for value in entry.get("values", ())]


def _without_doubles(rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Drop patterns of earlier splits, texts that came before, and unknown labels."""
    kept: dict[str, list[Row]] = {}
    patterns: set[tuple[str, ...]] = set()
    intents = {row.intent for row in rows["train"]}
    tags = {mark for row in rows["train"] for mark in row.tags}
    for split in SPLITS:
        fresh = [
            row
            for row in dict.fromkeys(rows[split])
            if row.pattern not in patterns
            and row.intent in intents
            and tags.issuperset(row.tags)
        ]
        patterns |= {row.pattern for row in fresh}
        kept[split] = list({row.text: row for row in fresh}.values())
    return kept


def _tag_labels(rows: list[Row], tags: list[str]) -> Any:
    labels = np.full((len(rows), LENGTH), -1, "int32")
    for number, row in enumerate(rows):
        labels[number, : len(row.tags)] = [tags.index(mark) for mark in row.tags]
    return labels


def _outside_first(mark: str) -> tuple[bool, str, str]:
    """Order tags: O, then by slot, B before I."""
    return mark != "O", mark[2:], mark[:1]
