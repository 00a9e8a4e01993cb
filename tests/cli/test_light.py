"""`list`, `show` and every `--help`: at once, and without TensorFlow."""

import json
import resource
import subprocess
import sys

import pytest
from click.testing import CliRunner

from mtlzoo._registry import ARCHITECTURES, TASKS, Entry
from mtlzoo.cli import _output, main
from mtlzoo.cli._kinds import find
from mtlzoo.cli._settings import Settings, parse_options
from mtlzoo.cli._source import options
from mtlzoo.errors import OptionError, UnknownNameError

LIGHT = """
import sys
from mtlzoo.cli import main

try:
    main(sys.argv[1:])
finally:
    heavy = {"tensorflow", "keras", "numpy", "matplotlib"} & set(sys.modules)
    if heavy:
        sys.exit(f"imported {heavy}")
"""


def run(*arguments):
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "architectures"],
        ["list", "*moe*", "--json"],
        ["show", "mmoe"],
        ["show", "adult", "--json"],
        ["train", "--help"],
        ["demo", "--help"],
        ["train", "adult", "no_such_architecture"],
    ],
)
def test_is_quick_and_imports_nothing_heavy(arguments):
    # The best of a few: what else the machine does says nothing of the command.
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", LIGHT, *arguments], capture_output=True, text=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "imported" not in done.stderr
        seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        if seconds < 0.5:
            return
    pytest.fail(f"took {seconds:.2f} seconds of a processor")


def test_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "mtlzoo", "--version"], capture_output=True, text=True
    )
    assert done.stdout.startswith("mtlzoo, version ")


class TestList:
    def test_everything(self):
        result = run("list")
        assert result.exit_code == 0
        for name in ("shared_bottom", "tabular", "equal", "binary", "date", "adult"):
            assert name in result.stdout
        assert "mtlzoo show NAME" in result.stderr

    @pytest.mark.parametrize("word", ["architectures", "architecture", "Architectures"])
    def test_one_kind(self, word):
        result = run("list", word, "--json")
        assert [
            one["name"] for one in json.loads(result.stdout)
        ] == ARCHITECTURES.list()

    @pytest.mark.parametrize("name", ARCHITECTURES.list())
    def test_what_an_architecture_takes_and_adds_to_the_loss(self, name):
        facts = ARCHITECTURES.entry(name).facts
        result = CliRunner(env={"COLUMNS": "80"}).invoke(
            main, ["list", "architectures", name]
        )
        lines = result.stdout.splitlines()
        assert max(map(len, lines)) <= 80
        # Columns are as wide as their longest line, so cells are put together again.
        start = next(line.index("what it takes") for line in lines if "takes" in line)
        cell = " ".join(line[start:].strip() for line in lines[4:]).strip()
        assert cell == (
            f"tasks: {facts['tasks']} inputs: {facts['inputs']} "
            f"extra losses: {facts['extra_losses']}"
        )
        (found,) = json.loads(run("list", "architectures", name, "--json").stdout)
        assert found["facts"] == facts

    def test_kind_and_pattern(self):
        found = json.loads(run("list", "tasks", "multi*", "--json").stdout)
        assert [one["name"] for one in found] == ["multiclass", "multilabel"]
        assert found[0]["kind"] == "tasks"
        assert found[0]["summary"].startswith("One of several classes")

    def test_pattern_alone(self):
        found = json.loads(run("list", "*tom*", "--json").stdout)
        assert {one["name"] for one in found} >= {"shared_bottom"}

    def test_nothing_found(self):
        result = run("list", "tasks", "x*")
        assert result.exit_code == 0
        assert "Nothing matches 'x*'" in result.stderr

    def test_unknown_kind(self):
        result = run("list", "architekture")
        assert result.exit_code == 1
        assert "There is no kind 'architekture'. Kinds: architectures," in result.stderr


class TestShow:
    def test_facts_and_options(self):
        result = run("show", "mmoe")
        assert "Ma et al., KDD 2018" in result.stdout
        assert "num_experts" in result.stdout
        assert "how many experts there are" in result.stdout
        assert "mtlzoo train adult mmoe -o OPTION=VALUE" in result.stderr

    def test_without_options(self):
        result = run("show", "shared_bottom")
        assert "It has no options" in result.stdout
        assert result.stderr.rstrip().endswith("mtlzoo train adult shared_bottom")

    def test_unknown_name(self):
        result = run("show", "shared_botom")
        assert result.exit_code == 1
        assert "Did you mean 'shared_bottom'" in result.stderr


class TestSource:
    """What the source says is what the imported object says."""

    @pytest.mark.parametrize(
        "named",
        [one for one in find(None, "*") if one.kind != "bases"],
        ids=lambda one: one.entry.name,
    )
    def test_options_are_those_of_the_constructor(self, named):
        import inspect

        from mtlzoo.cli._kinds import KINDS

        definition = KINDS[named.kind].get(named.entry.name)
        known = getattr(definition, "options", None)
        expected = known() if known else inspect.signature(definition).parameters
        found = {option.name: option for option in options(named.entry)}
        assert list(found) == list(expected)
        for name, parameter in expected.items():
            needed = parameter.default is inspect.Parameter.empty
            assert (found[name].default is None) == needed
            assert found[name].description, f"{name} of {named.entry.name}"

    def test_default_and_description(self):
        (name, *_) = options(TASKS.entry("binary"))
        assert name == ("name", None, "of the task.")

    def test_source_that_is_not_there(self):
        assert options(Entry("x", "no_such_package.module", "Class")) == []
        assert options(Entry("x", "mtlzoo.no_such_module", "Class")) == []
        assert options(Entry("x", "mtlzoo.errors", "NoSuchClass")) == []


class TestSettings:
    def test_values(self):
        pairs = ["a=4", "b=0.5", "c=64,32", "d=gru", "e=None", "f={'x': 'cnn'}", "g= y"]
        assert parse_options(pairs) == {
            "a": 4,
            "b": 0.5,
            "c": (64, 32),
            "d": "gru",
            "e": None,
            "f": {"x": "cnn"},
            "g": "y",
        }

    @pytest.mark.parametrize("pair", ["num_experts", "=4", ""])
    def test_no_pair(self, pair):
        with pytest.raises(OptionError, match="must be NAME=VALUE"):
            parse_options([pair])

    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"dataset": "adlt"}, UnknownNameError, "no data set 'adlt'.*'adult'"),
            ({"architecture": "mmoo"}, UnknownNameError, "no architecture 'mmoo'"),
            ({"trunk": "cnnn"}, UnknownNameError, "no trunk 'cnnn'"),
            ({"balancing": "equla"}, UnknownNameError, "no balancing 'equla'"),
            (
                {"architecture": "mmoe", "options": {"num_expert": 4}},
                OptionError,
                "option 'num_expert' of the architecture 'mmoe'.*'num_experts'",
            ),
            (
                {"trunk": "rnn", "trunk_options": {"cells": "gru"}},
                OptionError,
                "option 'cells' of the trunk 'rnn'.*'cell'",
            ),
            ({"trunk_options": {"units": 4}}, OptionError, "add --trunk NAME"),
            (
                {"dataset_options": {"rows": 4}},
                OptionError,
                "option 'rows' of the data set 'adult'",
            ),
            (
                {"balancing_options": {"rows": 4}},
                OptionError,
                "option 'rows' of the balancing 'equal'",
            ),
        ],
    )
    def test_refusals(self, changes, error, message):
        settings = {"dataset": "adult", "architecture": "shared_bottom", **changes}
        with pytest.raises(error, match=message):
            Settings(**settings).check()


def test_wide_table_is_whole(capsys):
    """Columns that can't be narrower take their place beside a long name."""
    _output.print_table(["name", "state"], [["n" * 100, "not sound"]])
    name, state = capsys.readouterr().out.splitlines()[-2].split(maxsplit=1)
    assert name == "n" * 100
    assert state.strip() == "not sound"


def test_wide_table_has_its_last_column(capsys, monkeypatch):
    """Titles that can be broken take no place from the columns behind them."""
    monkeypatch.setenv("COLUMNS", "60")
    spread = "0.8414\u00a0±\u00a00.0042"
    titles = ["method", "never married auc", "mean rank", "MFLOPs a row", "step (ms)"]
    row = ["shared_bottom + uncertainty", spread, "1.0", "0.31", "18.3", "1.00"]
    _output.print_table([*titles, "step / single-task"], [row])
    *_, heading, _, last, _ = capsys.readouterr().out.splitlines()
    assert heading.split()[-1] == "single-task"
    assert last.split()[-1] == "1.00"
