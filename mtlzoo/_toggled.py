"""What must follow when variables are frozen or freed after `compile`.

Keras compiles its step once and builds its optimizer once, for what was trainable then.
What is freed later is silently never trained.
"""

import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras

from mtlzoo import _trainable
from mtlzoo.balancing import Aggregator
from mtlzoo.balancing._prepare import (
    block_sizes,
    prepare,
    shared_part,
)


def trained(model: Any) -> tuple[Any, ...]:
    """Return what tells whether a compiled step of `model` is still the right one."""
    norms = [
        layer
        for layer in _trainable.layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    return (
        tuple(id(variable) for variable in model.trainable_variables),
        tuple(layer.trainable for layer in norms),
    )


def follow(model: Any) -> None:
    """Make a compiled model train what is trainable now.

    The optimizer is made anew for these variables, and keeps its state for those that
    it had before; so is a balancing that remembers gradients of each variable, from its
    start. Compiled functions are forgotten.
    """
    _trainable.renew_lora(_trainable.layers(model))
    now = trained(model)
    if now == model._trained:
        return
    with _scope(model):
        model.optimizer = renewed(model.optimizer, model.trainable_variables)
        hold(model, _balancing_for(model))
        prepare(model.balancing, model)
    model._trained = now
    # A step that is at work goes on; `make_train_function` compiles the next one.
    model._stale = True
    model.test_function = model.predict_function = None


def hold(model: Any, balancing: Any) -> None:
    """Let a model have another balancing, and forget the one that it had.

    Keras goes on counting a layer as part of a model when its attribute is set anew, so
    the variables of the old one would still be saved, and trained.
    """
    if model.balancing is not None and model.balancing is not balancing:
        model._tracker.untrack(model.balancing)
    model.balancing = balancing


def renewed(optimizer: Any, variables: Sequence[Any]) -> Any:
    """Return an optimizer like `optimizer` for other variables.

    It has the same settings and, for the variables that both know, the same state.
    """
    made = type(optimizer).from_config(optimizer.get_config())
    for old, new in zip(_plain(optimizer), _plain(made), strict=True):
        for excluded in ("", "_pattern"):
            name = f"_exclude_from_weight_decay{excluded}"
            if hasattr(old, name):
                setattr(new, name, getattr(old, name))
    made.build(variables)
    take_state(made, optimizer)
    return made


def take_state(optimizer: Any, other: Any) -> None:
    """Let an optimizer go on from the state of another, for what both know."""
    known = _by_path(other)
    for path, variable in _by_path(optimizer).items():
        if path in known and known[path].shape == variable.shape:
            variable.assign(known[path])


def _by_path(optimizer: Any) -> dict[str, Any]:
    """Return the variables of an optimizer whose paths are unique, by path."""
    paths = Counter(variable.path for variable in optimizer.variables)
    return {one.path: one for one in optimizer.variables if paths[one.path] == 1}


def _plain(optimizer: Any) -> list[Any]:
    """Return the optimizers that an optimizer is made of."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return list(getattr(optimizer, "optimizers", [optimizer]))


def _balancing_for(model: Any) -> Any:
    """Return the balancing of `model`, or a new one if it was built for variables."""
    old = model.balancing
    if not isinstance(old, Aggregator):
        return old
    sizes = block_sizes(old, model, shared_part(model))
    states = []
    for given in ((), sizes):
        new = type(old).from_config(old.get_config())
        new.build(len(model.tasks), given)
        states.append(len(new.variables))
    if states[0] == states[1] == len(old.variables):
        old.block_sizes = tuple(sizes)
        return old
    new.observer = old.observer
    return new


def _scope(model: Any) -> Any:
    strategy = getattr(model, "distribute_strategy", None)
    return strategy.scope() if strategy else contextlib.nullcontext()
