"""Train on one replica and on two, and tell how far apart the models end.

Also how far apart are what `BalancingLog` reports of both, and the affinities.

In a process of its own, since the number of devices is set when TensorFlow starts.
"""

import keras
import numpy as np
import tensorflow as tf
from toys import data, toy

from mtlzoo import balancing, metrics
from mtlzoo.callbacks import BalancingLog


def methods():
    return (
        balancing.AutoLambda(primary=["click", "hours"], learning_rate=1e-3),
        balancing.DWA(),
        balancing.FAMO(),
        balancing.Uncertainty(),
        balancing.CAGrad(heads="uncertainty"),
        balancing.CRMOGM("cagrad", heads="dwa"),
        balancing.DualBalancing(),
        balancing.DualBalancing(gradients="representation"),
        balancing.ExcessMTL(gradients="representation", eta=0.5),
        balancing.GradNorm(gradients="representation"),
        balancing.GradVac(seed=1, normalization="running_average"),
        balancing.MGDA(normalization="log", gradients="representation"),
        balancing.MoCo(),
        balancing.MoDo(gradients="representation", gamma=0.5),
        balancing.SDMGrad(),
    )


def train(method, strategy):
    x, y = data(rows=60, missing=True)
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(method)
    )
    with strategy.scope():
        model = toy(copy)
    for name in ("low", "price"):  # of what is shared, and of one task
        model.get_layer(name).activity_regularizer = keras.regularizers.L2(0.1)
    model.fit(x, y, batch_size=12, epochs=2, shuffle=False, verbose=0)
    return [keras.ops.convert_to_numpy(one.value) for one in model.variables]


def watch(method, strategy):
    x, y = data(rows=60, missing=True)
    with strategy.scope():
        model = toy(method)
    log = BalancingLog(every=2)
    model.fit(x, y, batch_size=12, epochs=2, shuffle=False, verbose=0, callbacks=[log])
    affinity = metrics.affinity(model, (x, y))
    values = [list(one.values()) for one in (*log.records, *affinity.values())]
    # What isn't known here must not be known there.
    return [np.nan_to_num(one, nan=-1e3) for one in values]


def distances():
    """Return how far apart one replica and two are, by what was compared."""
    devices = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        devices[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {}
    for method in methods():
        one, other = train(method, tf.distribute.get_strategy()), train(method, two)
        found[repr(method)] = distance(one, other)
    for name in ("uncertainty", "mgda"):
        one, other = watch(name, tf.distribute.get_strategy()), watch(name, two)
        found[f"log of {name}"] = distance(one, other)
    return found


def distance(one, other):
    # Sums over all steps are large, and rounded as such.
    return max(
        (np.abs(a - b) / np.maximum(np.abs(a), 1.0)).max()
        for a, b in zip(one, other, strict=True)
    )
