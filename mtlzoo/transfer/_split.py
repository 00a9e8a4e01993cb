"""A model with a frozen trunk, taken apart where the frozen part ends."""

import hashlib
import json
from typing import Any, NamedTuple

import keras

from mtlzoo import _trainable
from mtlzoo._bundles import fingerprint, weights_by_key
from mtlzoo._graph import Step, mask_of, repeat, steps
from mtlzoo._toggled import take_state
from mtlzoo.balancing import Aggregator
from mtlzoo.balancing._prepare import shared_part
from mtlzoo.errors import OptionError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._masked import Masked
from mtlzoo.trunks._pretrained._frozen import FrozenSavedModel


class Split(NamedTuple):
    """Where the frozen part of a model ends.

    Attributes:
        frozen: the steps that nothing trained leads to, in order.
        learned: the other steps, in order.
        features: what the frozen part gives to the rest, by name: symbolic tensors, the
            masks that they carry included.
        masks: for a feature that carries a mask, the name of that.
        names: of the operations, by their ids; see `_names`.
    """

    frozen: list[Step]
    learned: list[Step]
    features: dict[str, Any]
    masks: dict[str, str]
    names: dict[int, str]


def split(model: MultiTaskModel) -> Split:
    """Find the frozen part of a model, from the inputs on.

    Raises:
        OptionError: nothing that could be trained is frozen there.
    """
    frozen: list[Step] = []
    learned: list[Step] = []
    behind: set[int] = set()
    cut: dict[str, Any] = {}
    graph = steps(list(model.outputs))
    names = _names(graph)
    for step in graph:
        # A representation is one tensor under as many names as there are tasks.
        marked = step.layer.name.startswith("representation.")
        trained = bool(getattr(step.layer, "trainable_variables", ()))
        if marked or trained or any(id(one) in behind for one in step.inputs):
            learned.append(step)
            behind |= {id(one) for one in step.outputs}
            before = [one for one in step.inputs if id(one) not in behind]
            cut |= {_name_of(one, names): one for one in before}
        else:
            frozen.append(step)
    if not any(_has_places(step.layer) for step in frozen):
        raise OptionError(
            f"Nothing of {model.name!r} is frozen from its inputs on, so its features "
            "change with each step. Freeze the trunk first: transfer.freeze(model)."
        )
    return Split(frozen, learned, *_with_masks(cut), names)


def feature_model(model: MultiTaskModel) -> keras.Model:
    """Return the frozen part of a model: from its inputs to a dict of features.

    Raises:
        OptionError: nothing that could be trained is frozen there.
    """
    features = split(model).features
    return keras.Model(model.input, features, name=f"{model.name}.features")


def head_model(model: MultiTaskModel) -> MultiTaskModel:
    """Return what of a model is trained, as a model whose inputs are cached features.

    The layers are those of `model`: when it has been trained, so has `model`. It is
    compiled as `model` is; an aggregation, which is about gradients of what tasks
    share, has a place in it only if something that they share is trained.

    Args:
        model: a multi-task model whose trunk is frozen, as `transfer.freeze` leaves it.

    Raises:
        OptionError: nothing that could be trained is frozen, from the inputs on.

    Example:

    ```python
    transfer.freeze(model)
    cached = transfer.cache_features(model, dataset.arrays("train"), "cache/train")
    heads = transfer.head_model(model)
    heads.fit(cached.batches(64, shuffle=True), epochs=50)
    model.predict(photos)
    ```
    """
    parts = split(model)
    inputs = {
        name: keras.Input(tensor.shape[1:], dtype=dtype_of(tensor), name=name)
        for name, tensor in parts.features.items()
    }
    values = {id(tensor): inputs[name] for name, tensor in parts.features.items()}
    for name, mask in parts.masks.items():
        masked = Masked(name=f"{name}_masked")(inputs[name], mask=inputs[mask])
        values[id(parts.features[name])] = masked
    repeat(parts.learned, values)
    made = MultiTaskModel(
        inputs,
        {name: values[id(tensor)] for name, tensor in model.output.items()},
        name=f"{model.name}.heads",
        tasks=model.tasks,
    )
    if model.compiled:
        settings = keras.saving.deserialize_keras_object(model.get_compile_config())
        made.compile(**{**settings, "balancing": _balancing_of(model, made)})
        take_state(made.optimizer, model.optimizer)
    return made


def dtype_of(tensor: Any) -> str:
    """Return the type in which a feature is stored: floats as float32."""
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return "float32" if "float" in dtype else dtype


def fingerprint_of_frozen(model: MultiTaskModel) -> str:
    """Return a hash of all that the features of a model follow from."""
    parts = split(model)
    layers = {step.layer.name for step in parts.frozen}
    weights = weights_by_key(model)
    digest = hashlib.sha256()
    for step in parts.frozen:
        config = _without_flags(keras.saving.serialize_keras_object(step.layer))
        config["config"]["name"] = parts.names[id(step.layer)]
        digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    digest.update(",".join(parts.features).encode())
    held = {key: one for key, one in weights.items() if key.partition("/")[0] in layers}
    digest.update(fingerprint(held).encode())
    return f"sha256:{digest.hexdigest()}"


def _without_flags(config: Any) -> Any:
    if isinstance(config, dict):
        return {
            key: _without_flags(one)
            for key, one in config.items()
            if key != "trainable"
        }
    return (
        [_without_flags(one) for one in config] if isinstance(config, list) else config
    )


def _balancing_of(model: MultiTaskModel, heads: MultiTaskModel) -> Any:
    balancing = model.balancing
    if isinstance(balancing, Aggregator):
        part = shared_part(heads)
        if any(part.is_shared(one) for one in heads.trainable_variables):
            return type(balancing).from_config(balancing.get_config())
        return balancing.heads
    return balancing


def _with_masks(cut: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Add the masks that features carry; return all, and whose mask is which."""
    features, masks = dict(cut), {}
    for name, tensor in cut.items():
        mask = mask_of(tensor)
        if mask is not None:
            known = {id(one): key for key, one in features.items()}
            masks[name] = known.get(id(mask), f"{name}_mask")
            features[masks[name]] = mask
    return features, masks


def _names(graph: list[Step]) -> dict[int, str]:
    """Return names that are the same for each model of the same code, by layer id.

    Keras names an operation, such as that of a mask, by a count over the process.
    """
    found: dict[int, str] = {}
    counts: dict[str, int] = {}
    for operation in {id(step.layer): step.layer for step in graph}.values():
        name = operation.name
        if not isinstance(operation, keras.layers.Layer):
            kind = type(operation).__name__
            counts[kind] = counts.get(kind, 0) + 1
            name = f"{kind}_{counts[kind]}"
        found[id(operation)] = name
    return found


def _name_of(tensor: Any, names: dict[int, str]) -> str:
    layer = tensor._keras_history
    index = f"_{layer.tensor_index}" if layer.tensor_index else ""
    return f"{names[id(layer.operation)]}{index}".replace(".", "_")


def _has_places(layer: Any) -> bool:
    if isinstance(layer, FrozenSavedModel):
        return True
    return isinstance(layer, keras.layers.Layer) and bool(_trainable.places(layer))
