import importlib.util
import itertools
import sys

import keras
import numpy as np
import pytest

from mtlzoo.datasets import _home_intents, load
from mtlzoo.datasets._home_intents import LENGTH, Row, draw_rows, split_templates
from mtlzoo.errors import DataError, MissingExtraError

needs_hassil = pytest.mark.skipif(
    importlib.util.find_spec("hassil") is None,
    reason="the package hassil is not installed",
)

LISTS = {
    "area": ["living room", "Küche"],
    "level": range(20, 31, 5),
}
RULES = {"the": "(the|my)", "turn": "(turn|switch)"}


def draw(template, count=50, seed=0):
    from mtlzoo.datasets._sentence_sampler import Sampler

    return Sampler(RULES, LISTS).draw(template, count, seed)


@needs_hassil
@pytest.mark.parametrize(
    ("template", "sentences"),
    [
        ("(hello|good morning)", {"hello": "O", "good morning": "O O"}),
        ("<turn> on", {"turn on": "O O", "switch on": "O O"}),
        ("light[s]", {"light": "O", "lights": "O"}),
        ("[<the>] lamp", {"the lamp": "O O", "my lamp": "O O", "lamp": "O"}),
        ("(up;down)", {"up down": "O O", "down up": "O O"}),
        (
            "in {area} now",
            {
                "in living room now": "O B-area I-area O",
                "in Küche now": "O B-area O",
            },
        ),
        (
            "{level:brightness} {area}",
            {
                f"{level} {area}": f"B-brightness {tags}"
                for level in (20, 25, 30)
                for area, tags in [
                    ("living room", "B-area I-area"),
                    ("Küche", "B-area"),
                ]
            },
        ),
        # A slot's value that touches other letters, and a mark that is no word.
        (
            "{level}[ ]%!",
            {
                f"{level}{space}%!": "B-level"
                for level in (20, 25, 30)
                for space in ("", " ")
            },
        ),
    ],
)
def test_sentences_of_a_template(template, sentences):
    found = {one.text: " ".join(one.tags) for one in draw(template)}
    assert found == sentences


@needs_hassil
def test_draws_are_the_same_for_each_seed_and_differ_between_seeds():
    template = "<turn> [<the>] {area} (on|off) at {level} [now] [please]"
    assert draw(template, 20, seed=3) == draw(template, 20, seed=3)
    assert draw(template, 20, seed=3) != draw(template, 20, seed=4)
    assert len(set(draw(template, 20))) == 20


@needs_hassil
def test_a_rule_that_refers_to_itself_ends():
    from mtlzoo.datasets._sentence_sampler import Sampler

    (sentence,) = Sampler({"a": "la <a>"}, {}).draw("<a>", 1, 0)
    assert 1 < len(sentence.tags) < 100


def test_templates_are_split_by_their_digests():
    templates = [f"template {number}" for number in range(40)]
    parts = split_templates(templates)
    assert {split: len(part) for split, part in parts.items()} == {
        "validation": 6,
        "test": 6,
        "train": 28,
    }
    together = itertools.chain.from_iterable(parts.values())
    assert sorted(together) == sorted(templates)
    assert split_templates(templates[::-1]) == parts
    assert {len(part) for part in split_templates(templates[:3]).values()} == {1}
    assert split_templates(templates[:2]) == {}


def test_pattern_of_a_row():
    row = Row("Turn 50% living room on!", ("O", "B-a", "B-b", "I-b", "O"), "", "en")
    assert row.pattern == ("turn", "B-a", "B-b", "on")


def test_tags_stand_at_the_words_that_the_model_sees(loaded):
    dataset = loaded("home_intents")
    words = keras.layers.TextVectorization(
        vocabulary=dataset.inputs["text"].vocabulary, output_sequence_length=LENGTH
    )
    for split in dataset.sizes:
        x, y = dataset.arrays(split)
        seen = keras.ops.convert_to_numpy(words(x["text"])) > 0
        np.testing.assert_array_equal(seen, y["slots"] >= 0)


def test_slots_begin_and_go_on(loaded):
    dataset = loaded("home_intents")
    tags = dataset.tasks[1].class_names
    assert tags[:3] == ["O", "B-area", "I-area"]
    _, y = dataset.arrays("train")
    for labels in y["slots"][:500]:
        before = "O"
        for mark in (tags[label] for label in labels if label >= 0):
            if mark.startswith("I-"):
                assert before[2:] == mark[2:]
            before = mark


def test_no_pattern_and_no_template_is_in_two_splits(loaded):
    loaded("home_intents")
    rows = draw_rows(("de", "en", "es", "fr"), 6_000, 0)
    patterns = [{row.pattern for row in rows[split]} for split in rows]
    assert not patterns[0] & patterns[1]
    assert not (patterns[0] | patterns[1]) & patterns[2]
    assert len(patterns[2]) > 1_000


def test_what_was_drawn(loaded):
    dataset = loaded("home_intents")
    assert sum(dataset.sizes.values()) == 24_684
    assert [task.name for task in dataset.tasks] == ["intent", "slots", "language"]
    assert dataset.tasks[0].num_classes == 42
    x, y = dataset.arrays("train")
    assert np.bincount(y["language"]).min() > 3_500
    assert len(set(x["text"])) == len(x["text"])
    first = draw_rows(("en",), 6_000, 0)["train"][0]
    tags = ("O", "O", "B-area", "O")
    assert first == Row("cancel all attic timers", tags, "HassCancelAllTimers", "en")


def test_one_language_has_no_language_task(loaded):
    loaded("home_intents")
    dataset = load("home_intents", languages=("en",), sentences=1_000)
    assert [task.name for task in dataset.tasks] == ["intent", "slots"]
    assert sum(dataset.sizes.values()) < 1_800


def test_refuses_other_languages():
    with pytest.raises(DataError, match=r"no language 'it' of .* de, en, es, fr"):
        load("home_intents", languages=("en", "it"))


def test_without_its_packages(loaded, monkeypatch):
    loaded("home_intents")
    monkeypatch.setitem(sys.modules, "home_assistant_intents", None)
    with pytest.raises(MissingExtraError, match=r"package home-assistant-intents\. "):
        load("home_intents", seed=1)
    monkeypatch.setitem(sys.modules, "hassil", None)
    with pytest.raises(MissingExtraError, match=r"package hassil\. .*mtlzoo\[data\]"):
        load("home_intents", seed=2)


def test_another_version_of_the_templates(loaded, monkeypatch):
    loaded("home_intents")
    monkeypatch.setitem(_home_intents.SHA256, "en", "0" * 64)
    with pytest.raises(DataError, match=r"of home-assistant-intents 2026\.10\.27, sha"):
        load("home_intents", languages=("en",), seed=3)
