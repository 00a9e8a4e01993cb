"""A small model of three tasks that leave the shared part at two tensors."""

import keras
import numpy as np

import mtlzoo
from mtlzoo import tasks

TASKS = [tasks.Binary("click"), tasks.Regression("price"), tasks.Regression("hours")]


def data(rows=64, missing=False, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 5)).astype("float32")
    y = {
        "click": (x[:, 0] + 0.3 * random.normal(size=rows) > 0).astype("float32"),
        "price": x[:, 1] - x[:, 0] + 0.1 * random.normal(size=rows).astype("float32"),
        "hours": 5.0 * x[:, 2] ** 2,
    }
    if missing:
        y["price"][random.random(rows) < 0.5] = np.nan
        y["hours"][: rows // 4] = np.nan
    return {"age": x}, y


def functional():
    inputs = keras.Input((5,), name="age")
    low = keras.layers.Dense(8, activation="tanh", name="low")(inputs)
    high = keras.layers.Dense(6, activation="tanh", name="high")(low)
    outputs = {
        "click": keras.layers.Dense(1, activation="sigmoid", name="click")(high),
        "price": keras.layers.Dense(1, name="price")(high),
        "hours": keras.layers.Dense(1, name="hours")(low),
    }
    for name in outputs:
        outputs[name] = keras.layers.Activation("linear", dtype="float32")(
            outputs[name]
        )
    return keras.Model(inputs, outputs)


def toy(balancing=None, optimizer=None, seed=0, **options):
    keras.utils.set_random_seed(seed)
    return mtlzoo.MultiTaskModel.from_functional(
        functional(),
        TASKS,
        balancing=balancing,
        optimizer=optimizer or keras.optimizers.SGD(0.05),
        **options,
    )
