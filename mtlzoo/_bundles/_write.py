"""From a model to a bundle."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mtlzoo._bundles import _golden, _keys, _strict_json, _tensors
from mtlzoo._bundles._build import base_weights, beside, build_model
from mtlzoo._bundles._bundle import CONFIG, GOLDEN, MANIFEST, SHARED, Bundle
from mtlzoo._bundles._check_config import check_config
from mtlzoo._bundles._fingerprint import fingerprint
from mtlzoo._bundles._info import (
    BaseInfo,
    FileInfo,
    InputInfo,
    TaskInfo,
    WeightsInfo,
    check_info,
)
from mtlzoo._registry import TASKS
from mtlzoo._staging import not_writable, publish, staging
from mtlzoo._version import __version__
from mtlzoo.errors import BundleError

More = Callable[[Any, Path, WeightsInfo], None]
"""Adds files: called with the model as it loads, the folder, the manifest so far."""


def write(
    model: Any,
    folder: str | Path,
    info: WeightsInfo,
    *,
    examples: Mapping[str, Any],
    base: tuple[str, int] | None = None,
    half: bool = False,
    more: More | None = None,
) -> Path:
    """Write a model as `folder/<name>/<version>/`, whole or not at all.

    What was written is loaded again, and must answer `examples` as the model does.

    Args:
        model: a functional Keras model with a dict of outputs.
        folder: of all bundles, such as `models`.
        info: what the publisher says of the model; the rest is filled in.
        examples: a few raw rows by input name, which become the golden inputs.
        base: name and version of the bundle whose weights this model stands on; one in
            `folder`, or of the index.
        half: whether float32 weights are stored as float16, in half the bytes.
        more: adds files to the bundle.

    Returns:
        The folder of the version.

    Raises:
        BundleError: the model can't be a bundle, or its version is published already.
        ExportError: the folder can't be written.
    """
    check_info(info)
    target = Path(folder) / info.name / str(info.version)
    if target.exists():
        raise BundleError(
            f"{str(target)!r} is published already, and a version never changes. "
            f"Publish the version {info.version + 1}."
        )
    find_base = beside(Path(folder))
    examples = _golden.plain(examples)
    config = _config_of(model)
    variables = _keys.weights_by_key(model)
    below = _on_base(variables, find_base(*base)) if base else None
    info = dataclasses.replace(info, **_facts(model, below and below.info))
    kept = {
        key: _stored(variable, half)
        for key, variable in variables.items()
        if below is None or key not in below.keys
    }
    with staging(target.parent) as stage:
        new = stage / "bundle"
        (new / "heads").mkdir(parents=True)
        (new / CONFIG).write_text(_strict_json.text(config), "utf-8")
        _write_weights(kept, [task.name for task in info.tasks], new)
        loaded = build_model(_listed(new, info), find_base)
        outputs = _answers(loaded, examples)
        if not half:
            compare(_answers(model, examples), outputs, "as written")
        (new / GOLDEN).write_bytes(_golden.dump(examples, outputs))
        if more is not None:
            more(loaded, new, _listed(new, info).info)
        _listed(new, info)
        try:
            publish(new, target)
        except OSError as error:
            raise not_writable(target, error) from error
    return target


def compare(
    expected: Mapping[str, Any],
    found: Mapping[str, Any],
    what: str,
    tolerance: float = 1e-5,
) -> None:
    """Refuse answers that differ from the expected ones.

    Args:
        expected: arrays by output name.
        found: likewise.
        what: the model that answered, for the message.
        tolerance: the largest difference that passes; relative above 1.

    Raises:
        BundleError: naming the output and the difference.
    """
    import numpy as np

    if set(expected) != set(found):
        raise BundleError(
            f"The model {what} answers {sorted(found)}; expected {sorted(expected)}."
        )
    for name, values in expected.items():
        wanted, came = np.asarray(values), np.asarray(found[name])
        if wanted.shape != came.shape:
            raise BundleError(
                f"The model {what} answers {name!r} in the shape {came.shape}; "
                f"expected {wanted.shape}."
            )
        scale = np.maximum(1.0, np.abs(wanted))
        difference = float(np.max(np.abs(wanted - came) / scale, initial=0.0))
        if not difference <= tolerance:
            raise BundleError(
                f"The model {what} answers {name!r} otherwise than the published one: "
                f"by {difference:.2g}, where {tolerance:.0e} is allowed."
            )


def check_golden(model: Any, bundle: Bundle, tolerance: float = 1e-5) -> None:
    """Refuse a model that answers the bundle's golden inputs otherwise.

    Raises:
        BundleError: naming the output and the difference.
    """
    inputs, outputs = bundle.golden()
    compare(outputs, _answers(model, inputs), f"of {bundle.info.name!r}", tolerance)


def _answers(model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the model answers, as arrays by output name."""
    import keras
    import numpy as np

    tensors = {name: keras.ops.convert_to_tensor(one) for name, one in inputs.items()}
    found = model(tensors, training=False)
    if not isinstance(found, Mapping):
        raise BundleError(
            f"The outputs of {model.name!r} have no names. Make them a dict: "
            "mtlzoo.MultiTaskModel.from_functional(model, tasks), or "
            "keras.Model(model.inputs, {'features': model.output})."
        )
    return {
        name: np.asarray(keras.ops.convert_to_numpy(one)) for name, one in found.items()
    }


def _config_of(model: Any) -> dict[str, Any]:
    """Return the config without what only training needs, as JSON has it."""
    import json

    import keras

    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    for one in (config, *config["config"].get("layers", [])):
        one.pop("compile_config", None)
    try:
        check_config(config)
    except BundleError as error:
        raise BundleError(f"{model.name!r} can't be published. {error}") from error
    return config


class _Below(NamedTuple):
    """The base of a model, and the keys of its weights in the model."""

    info: BaseInfo
    keys: set[str]


def _on_base(variables: Mapping[str, Any], bundle: Bundle) -> _Below:
    weights = base_weights(bundle)
    name = bundle.info.name
    prefix = _keys.find_prefix(variables, weights)
    if prefix is None:
        raise BundleError(
            f"The model has no weights with the names of those of {name!r}, such as "
            f"{min(weights)!r}, so it doesn't stand on that base."
        )
    expected = fingerprint(weights)
    found = fingerprint({key: variables[prefix + key] for key in weights})
    if found != expected:
        raise BundleError(
            f"The model's trunk is not the base {name!r} any more: it was trained, or "
            "came from other weights. Publish it without `base`, or keep the base "
            "frozen: mtlzoo.trunks.Pretrained(..., trainable=False)."
        )
    info = BaseInfo(name, bundle.info.version, expected, prefix)
    return _Below(info, {prefix + key for key in weights})


def _stored(variable: Any, half: bool) -> Any:
    import keras

    array = keras.ops.convert_to_numpy(variable)
    return array.astype("float16") if half and array.dtype == "float32" else array


def _facts(model: Any, base: BaseInfo | None) -> dict[str, Any]:
    """Return what the manifest says of the model that the model itself knows."""
    import keras
    import tensorflow as tf

    return {
        "tasks": tuple(
            TaskInfo(
                task.name, _kind(task), tuple(getattr(task, "class_names", None) or ())
            )
            for task in getattr(model, "tasks", ())
        ),
        "inputs": tuple(
            InputInfo(
                tensor.name,
                tuple(tensor.shape[1:]),
                keras.backend.standardize_dtype(tensor.dtype),
            )
            for tensor in model.inputs
        ),
        "parameters": int(model.count_params()),
        "base": base,
        "keras_version": keras.version(),
        "tensorflow_version": tf.__version__,
        "mtlzoo_version": __version__,
    }


def _kind(task: Any) -> str:
    for name in TASKS.list():
        if TASKS.entry(name).attribute == type(task).__name__:
            return name
    return type(task).__name__


def _write_weights(arrays: Mapping[str, Any], tasks: list[str], folder: Path) -> None:
    files: dict[str, dict[str, Any]] = {SHARED: {}}
    for key, array in arrays.items():
        task = _keys.head_of(key, tasks)
        path = SHARED if task is None else f"heads/{task}.safetensors"
        files.setdefault(path, {})[key] = array
    for path, content in files.items():
        (folder / path).write_bytes(_tensors.dump(content))


def _listed(folder: Path, info: WeightsInfo) -> Bundle:
    """Write the manifest of what is in `folder`, and return the bundle."""
    files = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            files.append(FileInfo(name, digest, len(content)))
    text = dataclasses.replace(info, files=tuple(files)).to_json()
    (folder / MANIFEST).write_text(text, "utf-8")
    return Bundle(folder)
