"""The architectures' formulas in NumPy, and tiny models to hold against them."""

import keras
import numpy as np

import mtlzoo
from mtlzoo import heads, tasks, trunks

NAMES = ("a", "ab")  # one the prefix of the other, so that a mix-up shows
WIDTH = 3


def tiny(name, names=NAMES, kind=tasks.Binary, **options):
    """Return a model on one vector input `x`, by default without a hidden trunk."""
    options = {
        "inputs": {"x": (WIDTH,)},
        "tasks": [kind(one) for one in names],
        "head": heads.Tower(()),
        **options,
    }
    return mtlzoo.build(name, **options)


def rows(count=5, width=WIDTH, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width)).astype("float32")


def represent(model, x):
    """Return the representation of each task, computed eagerly."""
    found = model.representation_model({model.inputs[0].name: x})
    return {name: value.numpy() for name, value in found.items()}


def predict(model, x):
    """Return all outputs, computed eagerly."""
    found = model({model.inputs[0].name: x}, training=False)
    return {name: value.numpy() for name, value in found.items()}


def layer(model, name):
    return model.get_layer(f"sharing.{name}")


def weights(model, name):
    return layer(model, name).get_weights()


def fill(model, seed=0):
    """Give all weights random values, so that no formula passes by its zeros."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return model


def relu(x):
    return np.maximum(x, 0.0)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, "float64")))


def gelu(x):
    return keras.ops.convert_to_numpy(keras.activations.gelu(np.asarray(x, "float32")))


def softmax(x):
    power = np.exp(x - x.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)


def dense(model, name, x, activation=relu):
    kernel, bias = model.get_layer(name).get_weights()
    return activation(x @ kernel + bias)


def bank(model, name, x):
    """Return the experts' outputs; `x` is one input for all, or one for each."""
    found = weights(model, name)
    hidden = x if x.ndim == 3 else np.repeat(x[:, None], len(found[0]), axis=1)
    for kernel, bias in zip(found[::2], found[1::2], strict=True):
        experts = [hidden[:, e] @ kernel[e] + bias[e] for e in range(len(kernel))]
        hidden = relu(np.stack(experts, axis=1))
    return hidden


def gate(model, name, x, index=0):
    return softmax(x @ weights(model, name)[0][index])


def mixture(gates, experts):
    return sum(gates[:, [e]] * experts[:, e] for e in range(gates.shape[1]))


def single_task_like(model, **options):
    """Return independent networks with the weights of `model`'s trunks and heads."""
    names = [task.name for task in model.tasks]
    other = tiny("single_task", names, **options)
    for one in other.layers:
        if one.weights:
            one.set_weights(model.get_layer(one.name).get_weights())
    return other


def mlp(*units):
    return trunks.MLP(units)
