"""Freeze and free parts of a model that trains on two replicas, and look what moves.

In a process of its own, since the number of devices is set when TensorFlow starts.
"""

import itertools

import keras
import tensorflow as tf
from networks import moved, values, vectors

from mtlzoo import balancing, transfer

METHODS = (
    lambda: None,
    balancing.DualBalancing,  # keeps gradients of each variable
)


def toggle_after_compile(model, x, y):
    options = {"batch_size": 16, "verbose": 0}
    model.fit(x, y, **options)
    transfer.freeze(model)
    before = values(model)
    model.fit(x, y, **options)
    assert parts(moved(model, before)) == {"heads"}

    transfer.unfreeze(model, "last:1")
    before = values(model, "trunk")
    model.fit(x, y, **options)
    assert moved(model, before) == {"trunk.dense_2/kernel", "trunk.dense_2/bias"}

    transfer.freeze(model, "trunk/*")
    before = values(model)
    model.fit(x, y, **options)
    assert parts(moved(model, before)) == {"heads"}


def toggle_inside_fit(model, x, y):
    found = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.before = values(model, "trunk")

        def on_epoch_end(self, epoch, logs=None):
            found.append({one.split("/")[0] for one in moved(model, self.before)})

    model.fit(
        x,
        y,
        batch_size=16,
        epochs=3,
        verbose=0,
        callbacks=[transfer.GradualUnfreeze(start=1, every=1), Look()],
    )
    assert found == [set(), {"trunk.dense_2"}, {"trunk.dense_1", "trunk.dense_2"}]


def parts(paths):
    return {path.split(".")[0] for path in paths if not path.startswith("balancing")}


def toggle_all():
    """Return how often it was toggled with success: each way with each method."""
    devices = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        devices[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    ways = list(itertools.product(METHODS, (toggle_after_compile, toggle_inside_fit)))
    for method, toggle in ways:
        with strategy.scope():
            model, x, y = vectors(balancing=method())
        assert model.distribute_strategy is strategy
        toggle(model, x, y)
    return len(ways)
