"""The package as a whole: what it exports, and that saved models find its classes."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import keras
import pytest

import mtlzoo
from mtlzoo import _lazy

PUBLIC = [
    "balancing",
    "callbacks",
    "datasets",
    "export",
    "features",
    "heads",
    "hub",
    "metrics",
    "plot",
    "serving",
    "sharing",
    "tasks",
    "transfer",
    "trunks",
]


OTHERS = "mtlzoo.benchmarks.others."
"""Each module there needs the library that it measures, which few have."""


def modules():
    for info in pkgutil.walk_packages(mtlzoo.__path__, "mtlzoo."):
        if not info.name.endswith("__main__") and not info.name.startswith(OTHERS):
            yield importlib.import_module(info.name)


IMPORT = """
import time
import keras

start = time.process_time()
import mtlzoo

print(time.process_time() - start)
"""


def test_import_costs_little_more_than_that_of_keras():
    """In seconds of a processor, which other work on the machine hardly changes."""
    run = subprocess.run(
        [sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True
    )
    assert float(run.stdout) < 0.2


@pytest.mark.parametrize("name", PUBLIC)
def test_public_package_lists_and_documents_what_it_exports(name):
    package = getattr(mtlzoo, name)
    assert package.__doc__
    for exported in package.__all__:
        member = getattr(package, exported)
        if inspect.isclass(member) or inspect.isfunction(member):
            assert member.__doc__, f"{name}.{exported} has no docstring"


def test_top_level_names_exist():
    for name in mtlzoo.__all__:
        assert getattr(mtlzoo, name) is not None
    assert dir(mtlzoo) == mtlzoo.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mtlzoo.nothing  # noqa: B018


def test_every_registered_class_has_a_stand_in():
    """What the source scan finds is what importing everything registers."""
    for _ in modules():
        pass
    registered = {
        name: value
        for name, value in keras.saving.get_custom_objects().items()
        if name.startswith("mtlzoo>") and not isinstance(value, _lazy.StandIn)
    }
    found = _lazy.stand_ins()
    assert set(found) == set(registered)
    for name, stand_in in found.items():
        assert stand_in._resolve() is registered[name]


def test_every_module_is_short():
    for module in modules():
        lines = len(inspect.getsource(module).splitlines())
        assert lines <= 300, f"{module.__name__} has {lines} lines"
