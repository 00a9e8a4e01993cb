"""Heads from one model on another that stands on the same base."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mtlzoo._bundles import find_prefix, fingerprint, weights_by_key
from mtlzoo._graph import Step, steps
from mtlzoo.errors import BundleError
from mtlzoo.model import MultiTaskModel
from mtlzoo.tasks import Task


def graft(
    target: MultiTaskModel,
    source: MultiTaskModel,
    tasks: Sequence[Task],
    prefix: str,
    expected: str,
) -> MultiTaskModel:
    """Return `target` with tasks of `source` added, on the one base of both.

    The layers of `target` are those of the model that is returned. What `source` has
    beyond the base is copied, with its weights.

    Args:
        target: gets the tasks.
        source: has them.
        tasks: which.
        prefix: what the keys of the base's weights begin with in `source`.
        expected: the fingerprint of the base.

    Raises:
        BundleError: the models don't stand on the same base, or a name is taken.
    """
    if taken := sorted({task.name for task in tasks} & set(target.output)):
        raise BundleError(
            f"{target.name!r} has {taken[0]!r} already; a model has each task once."
        )
    found = _prefix_in(target, source, prefix, expected)
    outputs = _Graft(target, source, prefix, found).outputs(
        {task.name: source.output[task.name] for task in tasks}
    )
    return with_outputs(target, {**target.output, **outputs}, [*target.tasks, *tasks])


def with_outputs(
    model: MultiTaskModel, outputs: Mapping[str, Any], tasks: Sequence[Task]
) -> MultiTaskModel:
    """Return a model of the same layers with other outputs, compiled alike."""
    made = MultiTaskModel(
        model.input,
        dict(outputs),
        name=model.name,
        tasks=tasks,
        penalties=model.penalties,
    )
    # Both anew: what they keep has one entry a task, or one a variable.
    optimizer, balancing = model.optimizer, model.balancing
    made.compile(
        type(optimizer).from_config(optimizer.get_config()),
        balancing=type(balancing).from_config(balancing.get_config()),
    )
    return made


def _prefix_in(target: Any, source: Any, prefix: str, expected: str) -> str:
    """Return what the base's keys begin with in `target`, if it is the same base."""
    keys = [
        key.removeprefix(prefix)
        for key in weights_by_key(source)
        if key.startswith(prefix)
    ]
    held = weights_by_key(target)
    found = find_prefix(held, keys)
    if found is None:
        raise BundleError(
            f"{target.name!r} doesn't stand on the base of {source.name!r}: it has no "
            f"weight {min(keys)!r}. Load the first head with mtlzoo.load, or build on "
            "that base with mtlzoo.trunks.Pretrained(..., trainable=False)."
        )
    held_print = fingerprint({key: held[found + key] for key in keys})
    if held_print != expected:
        raise BundleError(
            f"The base of {target.name!r} has other weights than the one that "
            f"{source.name!r} was trained on: expected fingerprint {expected}. "
            f"Received: {held_print}. A head works on its own base alone; has this one "
            "been trained since?"
        )
    return found


class _Graft:
    """Repeats what `source` has beyond the base on the tensors of `target`."""

    def __init__(self, target: Any, source: Any, prefix: str, found: str) -> None:
        self._target = target
        self._prefix = prefix
        self._found = found
        self._there: dict[str, list[Step]] = {}
        for step in steps(target.outputs):
            self._there.setdefault(step.layer.name, []).append(step)
        self._values = {id(tensor): self._input(tensor) for tensor in source.inputs}
        self._copies: dict[int, Any] = {}

    def outputs(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tensors that correspond to those of `wanted`."""
        seen: dict[str, int] = {}
        for step in steps(list(wanted.values())):
            if isinstance(step.layer, keras.layers.InputLayer):
                continue
            name = step.layer.name
            twin = self._twin(step, seen.get(name, 0))
            seen[name] = seen.get(name, 0) + 1
            outputs = twin.outputs if twin else self._repeat(step)
            pairs = zip(step.outputs, outputs, strict=True)
            self._values |= {id(old): new for old, new in pairs}
        return {name: self._values[id(tensor)] for name, tensor in wanted.items()}

    def _input(self, tensor: Any) -> Any:
        for own in self._target.inputs:
            if own.name == tensor.name:
                if (own.shape, own.dtype) == (tensor.shape, tensor.dtype):
                    return own
                raise BundleError(
                    f"The input {own.name!r} of {self._target.name!r} has the shape "
                    f"{own.shape[1:]} and the type {own.dtype}. The head needs "
                    f"{tensor.shape[1:]} and {tensor.dtype}."
                )
        raise BundleError(
            f"The head needs the input {tensor.name!r}, which {self._target.name!r} "
            f"doesn't have. Its inputs: {', '.join(self._target.input)}."
        )

    def _twin(self, step: Step, index: int) -> Step | None:
        """Return the same step of the base in `target`."""
        # A nested base is one layer, whose name is the prefix without its slash.
        name = f"{step.layer.name}/" if self._prefix.endswith("/") else step.layer.name
        if not name.startswith(self._prefix):
            return None
        twin = (self._found + name.removeprefix(self._prefix)).rstrip("/")
        found = self._there.get(twin, [])
        if index >= len(found) or _config(found[index]) != _config(step):
            raise BundleError(
                f"The base of {self._target.name!r} differs in the layer {twin!r} from "
                "the one that the head was trained on."
            )
        return found[index]

    def _repeat(self, step: Step) -> list[Any]:
        original = step.layer
        layer = self._copies.get(id(original)) or self._copy(original)
        positional, named = step.arguments.fill_in(self._values)
        outputs = keras.tree.flatten(layer(*positional, **named))
        if id(original) not in self._copies and isinstance(layer, keras.layers.Layer):
            for new, old in zip(layer.weights, original.weights, strict=True):
                new.assign(old)
        self._copies[id(original)] = layer
        return list(outputs)

    def _copy(self, original: Any) -> Any:
        if not isinstance(original, keras.layers.Layer):
            return type(original).from_config(original.get_config())
        if original.name in self._there:
            raise BundleError(
                f"{self._target.name!r} has a layer {original.name!r} already, so this "
                "head can't be added to it."
            )
        config = keras.saving.serialize_keras_object(original)
        return keras.saving.deserialize_keras_object(config)


def _config(step: Step) -> Any:
    config = dict(step.layer.get_config())
    return {
        key: value
        for key, value in config.items()
        if key not in ("name", "trainable", "layers", "input_layers", "output_layers")
    }
