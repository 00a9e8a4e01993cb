"""Refuses configs that name more than layers, before Keras sees them."""

import sys
from collections.abc import Iterator
from typing import Any

from mtlzoo._bundles import _allowed
from mtlzoo.errors import BundleError

LIMIT = 64 * 2**20
DEPTH = 100


def check_config(config: Any) -> None:
    """Refuse a Keras config that could do more than to build layers.

    Everything named in it must be a layer, task or other object of mtlzoo's own, or of
    Keras's own and on the list of `_allowed`. What names a class from elsewhere, a
    Lambda, a Python function, or a file to read a vocabulary from, is refused.

    Raises:
        BundleError: saying what.
    """
    if not isinstance(config, dict) or "class_name" not in config:
        raise BundleError("config.json must describe a Keras model.")
    for one in _objects(config):
        _check_vocabulary(one)
        if "class_name" in one:
            _check_object(one)


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    waiting = [(config, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEPTH:
            raise BundleError("config.json is nested more deeply than any model is.")
        if isinstance(value, dict):
            yield value
            waiting += [(one, depth + 1) for one in value.values()]
        elif isinstance(value, list):
            waiting += [(one, depth + 1) for one in value]


def _check_object(one: dict[str, Any]) -> None:
    name, module = one["class_name"], one.get("module")
    registered = one.get("registered_name")
    if not isinstance(name, str):
        raise _refuse(name, module)
    if name in _allowed.PLAIN:
        _check_dtype(one.get("config"))
        return
    if name == "function":
        _check_function(one)
        return
    if registered and str(registered).startswith("mtlzoo>"):
        if registered == f"mtlzoo>{name}" and registered in _ours():
            return
        raise _refuse(registered, module)
    # Any other name must not be one that someone has registered, since that one would
    # be taken in place of Keras's own.
    if registered not in (None, name) or name in _registered():
        raise _refuse(registered, module)
    if name in _allowed.CLASSES.get(str(module), ()):
        return
    if module in _allowed.ARITHMETIC and _is_public(module, name):
        return
    if module in _allowed.OPERATIONS and _is_operation(module, name):
        return
    raise _refuse(name, module)


def _check_function(one: dict[str, Any]) -> None:
    name, module = one.get("config"), one.get("module")
    if isinstance(name, str):
        if name.startswith("mtlzoo>") and name in _ours():
            return
        if module == "builtins" and any(
            _is_public(where, name) for where in _allowed.ARITHMETIC
        ):
            return
        if module in _allowed.ARITHMETIC and _is_public(module, name):
            return
    raise _refuse(name, module)


def _check_vocabulary(one: dict[str, Any]) -> None:
    for key in ("vocabulary", "idf_weights"):
        if isinstance(one.get(key), str):
            raise BundleError(
                f"The config reads its {key} from the file {one[key]!r:.100}. A bundle "
                "holds the vocabulary itself."
            )


def _check_dtype(config: Any) -> None:
    dtype = config.get("dtype", "string") if isinstance(config, dict) else "string"
    if dtype not in _allowed.DTYPES:
        raise BundleError(f"The config has values of the type {dtype!r:.100}.")


def _ours() -> set[str]:
    ours = {name for name in _registered() if name.startswith("mtlzoo>")}
    return ours - _allowed.NOT_WHOLE


def _registered() -> Any:
    import keras

    return keras.saving.get_custom_objects()


def _is_public(module: Any, name: str) -> bool:
    import keras

    family = getattr(keras, module.rpartition(".")[2])
    return (
        name.isidentifier()
        and not name.startswith("_")
        and name not in ("get", "serialize", "deserialize")
        and callable(getattr(family, name, None))
    )


def _is_operation(module: Any, name: str) -> bool:
    import keras

    found = getattr(sys.modules.get(module), name, None)
    return (
        isinstance(found, type)
        and issubclass(found, keras.Operation)
        and found.__module__ == module
        and name not in _allowed.CALLING
    )


def _refuse(name: Any, module: Any) -> BundleError:
    return BundleError(
        f"The config names {name!r:.100} of {module!r:.100}, which a bundle may not: "
        "only layers of mtlzoo and of Keras's own, and no Lambda. Nothing of it was "
        "loaded."
    )
