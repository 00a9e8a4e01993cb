import importlib.metadata
import subprocess
import sys

import pytest

from mtlzoo import _registry
from mtlzoo._registry import ARCHITECTURES, Registry
from mtlzoo.errors import UnknownNameError

FAMILIES = [value for value in vars(_registry).values() if isinstance(value, Registry)]


def named(name, module):
    return type(name, (), {"__module__": module, "__doc__": "A summary.\n\nMore."})


def test_every_entry_can_be_had_and_is_described():
    for family in FAMILIES:
        for name in family.list():
            entry = family.entry(name)
            assert family.get(name).__name__ == entry.attribute
            assert entry.summary.endswith((".", ":")), (family, name, entry.summary)


def test_list_takes_wildcards():
    assert "shared_bottom" in ARCHITECTURES.list("shared_*")
    assert ARCHITECTURES.list(["single*", "shared_b*"]) == [
        "shared_bottom",
        "single_task",
    ]
    assert ARCHITECTURES.list("zzz*") == []
    assert "shared_bottom" in ARCHITECTURES


def test_unknown_name_lists_close_ones():
    with pytest.raises(UnknownNameError, match="Did you mean 'shared_bottom'"):
        ARCHITECTURES.get("shared_botom")
    with pytest.raises(KeyError, match="Known: "):
        ARCHITECTURES.entry("qqq")


def test_duplicate_raises():
    family = Registry("thing", "THINGS", "mtlzoo.sharing")
    first = family.register("a", paper="x")(named("First", "one"))
    assert family.get("a") is first
    assert family.entry("a").summary == "A summary."
    assert family.entry("a").facts == {"paper": "x"}
    with pytest.raises(ValueError, match=r"'a' is registered twice: by one\.First"):
        family.register("a")(named("Second", "two"))
    # The same definition again is a module that was loaded anew.
    family.register("a")(named("First", "one"))


def test_a_name_of_ours_cannot_be_taken():
    with pytest.raises(ValueError, match="'shared_bottom' is registered twice"):
        ARCHITECTURES.register("shared_bottom")(named("Mine", "elsewhere"))


def test_plugins_are_listed_unloaded(monkeypatch):
    point = importlib.metadata.EntryPoint(
        "thing:fancy", "collections:OrderedDict", _registry.PLUGIN_GROUP
    )
    monkeypatch.setattr(_registry, "_plugin_points", lambda: (point,))
    family = Registry("thing", "THINGS", "mtlzoo.sharing")
    assert family.list() == ["fancy"]
    assert family.get("fancy").__name__ == "OrderedDict"


def test_listing_loads_neither_keras_nor_tensorflow():
    code = (
        "import sys, mtlzoo\n"
        "assert mtlzoo.list_architectures() and mtlzoo.list_trunks()\n"
        "assert mtlzoo.list_datasets() and mtlzoo.list_balancing()\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
