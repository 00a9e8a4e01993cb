"""Saved models load after `import mtlzoo` alone, though that import loads nothing.

Keras finds a class of a saved model by its registered name. Ours register when their
module is imported, and importing them all would load TensorFlow, which `mtlzoo list`
must not. So as soon as Keras itself is imported, each registered name gets a stand-in,
which imports the module of the real class when Keras first asks it for anything.
"""

import importlib
import re
from pathlib import Path
from typing import Any

import wrapt

_REGISTERED = re.compile(
    r'^@keras\.saving\.register_keras_serializable\("mtlzoo"\)\n(?:class|def) (\w+)',
    re.MULTILINE,
)


class StandIn:
    """Stands for a class or function until it is needed."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def _resolve(self) -> Any:
        return getattr(importlib.import_module(self._module), self._name)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._resolve(), attribute)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._resolve()(*args, **kwargs)


def stand_ins() -> dict[str, StandIn]:
    """Return a stand-in for everything that our source registers with Keras."""
    root = Path(__file__).parent
    found = {}
    for path in root.rglob("*.py"):
        module = ".".join(["mtlzoo", *path.relative_to(root).with_suffix("").parts])
        for name in _REGISTERED.findall(path.read_text(encoding="utf-8")):
            found[f"mtlzoo>{name}"] = StandIn(module, name)
    return found


def register_with_keras() -> None:
    """Register the stand-ins now if Keras is loaded, else as soon as it is."""

    def register(keras: Any) -> None:
        names = keras.saving.get_custom_objects()
        for name, stand_in in stand_ins().items():
            names.setdefault(name, stand_in)

    wrapt.register_post_import_hook(register, "keras")
