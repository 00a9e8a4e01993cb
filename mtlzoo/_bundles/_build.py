"""From a bundle to its model."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mtlzoo._bundles import _keys
from mtlzoo._bundles._bundle import MANIFEST, Bundle
from mtlzoo._bundles._fingerprint import fingerprint
from mtlzoo._bundles._locate import find
from mtlzoo.errors import BundleError

FindBase = Callable[[str, int], Bundle]
"""From the name and version of a base to its bundle."""


def build_model(bundle: Bundle, find_base: FindBase | None = None) -> Any:
    """Return the model of a bundle, with its weights.

    Each variable gets its value from the bundle or from the base that it stands on,
    exactly once, and no value is left over. The model is compiled with its tasks'
    losses and metrics.

    Args:
        bundle: checked files.
        find_base: called where the bundle stands on a base; by default looks beside
            the bundle, then in the index.

    Raises:
        BundleError: config and weights don't fit each other.
    """
    from mtlzoo._bundles._deferred import deferred

    config = bundle.config()
    weights = all_weights(bundle, find_base or beside(bundle.folder.parent.parent))
    with deferred():
        model = _revive(config, bundle)
        variables = _keys.weights_by_key(model)
        _check_fit(variables, weights, bundle)
    assign(variables, weights)
    finish(model)
    return model


def all_weights(bundle: Bundle, find_base: FindBase) -> dict[str, Any]:
    """Return the weights of a bundle by key, those of its base among them.

    Raises:
        BundleError: the base isn't the one that the bundle was made on.
    """
    weights = bundle.weights()
    base = bundle.info.base
    if base is None:
        return weights
    below = base_weights(find_base(base.name, base.version))
    found = fingerprint(below)
    if found != base.fingerprint:
        raise BundleError(
            f"{bundle.info.name!r} was trained on the base {base.name!r} with the "
            f"fingerprint {base.fingerprint}. Received: {found}."
        )
    for key, array in below.items():
        if base.prefix + key in weights:
            raise BundleError(
                f"{bundle.info.name!r} stores {base.prefix + key!r}, which belongs to "
                "its base."
            )
        weights[base.prefix + key] = array
    return weights


def beside(folder: Path) -> FindBase:
    """Return what looks for a base in a folder of bundles, then in the index."""

    def find_base(name: str, version: int) -> Bundle:
        there = folder / name / str(version)
        return Bundle(there) if (there / MANIFEST).is_file() else find(name, version)

    return find_base


def base_weights(bundle: Bundle) -> dict[str, Any]:
    """Return the weights of a base, as float32, by key relative to the base."""
    stored = bundle.shared_weights()
    return {
        relative: widened(stored[key])
        for relative, key in _keys.relative_keys(stored).items()
    }


def widened(array: Any) -> Any:
    """Return half-precision numbers as float32, and all others as they are."""
    return array.astype("float32") if array.dtype == "float16" else array


def assign(variables: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Set variables to arrays of the same keys and shapes."""
    for key, variable in variables.items():
        variable.assign(weights[key])


def finish(model: Any) -> None:
    """Let layers use the weights that were set, and compile the model."""
    for layer in model._flatten_layers():
        # Normalization and Discretization keep constants made from their weights.
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    if hasattr(model, "tasks"):
        model.compile()


def _revive(config: dict[str, Any], bundle: Bundle) -> Any:
    import keras

    try:
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        if not isinstance(model, keras.Model) or not model.built:
            raise TypeError(f"it describes a {type(model).__name__}")
    # A config may be wrong in as many ways as there are layers.
    except Exception as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise BundleError(
            f"The config of {bundle.info.name!r} can't be built: {reason:.300}"
        ) from error
    return model


def _check_fit(
    variables: Mapping[str, Any], weights: Mapping[str, Any], bundle: Bundle
) -> None:
    name = bundle.info.name
    if missing := sorted(set(variables) - set(weights)):
        raise BundleError(
            f"{name!r} stores no value for {len(missing)} of its {len(variables)} "
            f"weights, such as {missing[0]!r}."
        )
    if left := sorted(set(weights) - set(variables)):
        raise BundleError(
            f"{name!r} stores {len(left)} values that its model has no place for, such "
            f"as {left[0]!r}."
        )
    for key, variable in variables.items():
        array = weights[key]
        if tuple(variable.shape) != array.shape:
            raise BundleError(
                f"{key!r} of {name!r} has the shape {tuple(variable.shape)} in the "
                f"config and {array.shape} in the weights."
            )
        stored, wanted = array.dtype.name, variable.dtype
        if stored != wanted and (stored, wanted) != ("float16", "float32"):
            raise BundleError(
                f"{key!r} of {name!r} has the type {wanted} in the config and {stored} "
                "in the weights."
            )
