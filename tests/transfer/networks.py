"""Small models with real trunks, and their data, for the tests of transfer."""

import keras
import numpy as np
from examples import two_task_data, two_task_model

import mtlzoo
from mtlzoo import heads, tasks, trunks


def vectors(**options):
    """Return a model of two tasks over two dense layers, and its data."""
    options = {
        "trunk": trunks.MLP((8, 6)),
        "head": heads.Tower((4,)),
        "optimizer": keras.optimizers.Adam(0.01),
        **options,
    }
    return two_task_model(**options), *two_task_data(32)


def images(**options):
    """Return a model of two tasks over a residual network, and its data."""
    options = {
        "inputs": {"photo": (8, 8, 3)},
        "tasks": [tasks.Binary("click"), tasks.Binary("buy")],
        "trunk": trunks.ResNet(8, width=4),
        "head": heads.Tower(()),
        **options,
    }
    x = {"photo": np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype("float32")}
    click = (x["photo"].mean((1, 2, 3)) > 0).astype("float32")
    model = mtlzoo.build(options.pop("architecture", "shared_bottom"), **options)
    return model, x, {"click": click, "buy": 1 - click}


def values(model, part=""):
    """Return the values of a model's variables whose paths begin with `part`."""
    return {
        index: variable.numpy()
        for index, variable in enumerate(model.variables)
        if variable.path.startswith(part)
    }


def moved(model, before):
    """Return the paths of variables whose value is not what it was, bit for bit."""
    return {
        model.variables[index].path
        for index, value in before.items()
        if not np.array_equal(value, model.variables[index].numpy())
    }
