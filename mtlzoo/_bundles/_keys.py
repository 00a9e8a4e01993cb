"""The names under which a model's weights are stored."""

from collections.abc import Iterable, Mapping
from typing import Any

from mtlzoo.errors import BundleError


def weights_by_key(model: Any) -> dict[str, Any]:
    """Return the variables of a functional Keras model, by key.

    A key is made of the names of the layers that hold the variable, from the outside
    in, and its own, such as `trunk.dense_1/kernel`. (`variable.path` is the same for
    most layers, but depends for some on when they were built.) What only training
    needs is left out: optimizer, metrics, balancing, random seeds.

    Raises:
        BundleError: two variables have the same key.
    """
    found: dict[str, Any] = {}
    for layer in model.layers:
        for key, variable in _keyed(layer, f"{layer.name}/"):
            if found.setdefault(key, variable) is not variable:
                raise BundleError(
                    f"Two weights of {model.name!r} are called {key!r}. Give the "
                    "layers names of their own: keras.layers.Dense(8, name='...')."
                )
    return found


def _keyed(layer: Any, prefix: str) -> Iterable[tuple[str, Any]]:
    # Only these lists hold what a layer owns itself.
    for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
        yield prefix + variable.name, variable
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        yield from _keyed(inner, f"{prefix}{inner.name}/")


def head_of(key: str, tasks: Iterable[str]) -> str | None:
    """Return the task whose head a key belongs to, if any: of `heads.<task>.*`."""
    if not key.startswith("heads."):
        return None
    task = key.split(".", 2)[1].split("/", 1)[0]
    return task if task in tasks else None


def relative_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return the keys of a base by what is left without their common beginning.

    That beginning is `trunk.` or the name of a model that holds all the others, so that
    the same base has the same relative keys in every model that stands on it.
    """
    keys = list(keys)
    prefix = common_prefix(keys)
    return {key.removeprefix(prefix): key for key in keys}


def common_prefix(keys: Iterable[str]) -> str:
    keys = list(keys)
    first = keys[0] if keys else ""
    for prefix in ("trunk.", first[: first.find("/", 0) + 1]):
        # In `trunk.dense_1/kernel` the slash ends a layer, not a model.
        nested = prefix == "trunk." or first.count("/") > 1
        if prefix and nested and all(key.startswith(prefix) for key in keys):
            return prefix
    return ""


def find_prefix(keys: Iterable[str], relative: Iterable[str]) -> str | None:
    """Return what all of the `relative` keys begin with in `keys`, if they are there.

    Args:
        keys: of a model.
        relative: of a base.
    """
    keys, relative = set(keys), sorted(relative)
    if not relative:
        return None
    candidates = sorted(
        key.removesuffix(relative[0]) for key in keys if key.endswith(relative[0])
    )
    for prefix in candidates:
        if all(prefix + one in keys for one in relative):
            return prefix
    return None


def select(weights: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the weights whose keys begin with `prefix`, by the rest of their keys."""
    return {
        key.removeprefix(prefix): one
        for key, one in weights.items()
        if key.startswith(prefix)
    }
