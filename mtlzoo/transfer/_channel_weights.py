from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from mtlzoo._graph import repeat, steps
from mtlzoo.errors import DataError, OptionError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._bar import bar
from mtlzoo.transfer._compared import compared_layers
from mtlzoo.transfer._labelled import labelled_batches

LABELS = "The worth of a channel is measured with labels"


def channel_weights(
    model: MultiTaskModel,
    data: Any,
    *,
    layers: Sequence[str] | None = None,
    batches: int | None = 4,
    batch_size: int = 64,
    standardize: bool = False,
    progress: bool = True,
) -> dict[str, list[float]]:
    """Return how much each channel of a trunk is worth to its tasks, for `DELTA`.

    A channel is worth what its loss shows: `r_c = L_c - L`, where `L` is the loss of
    the model and `L_c` that with the channel `c` of a layer set to 0. The weights of a
    layer of `n` channels are `n * softmax(r)`, so their mean is 1, and equal channels
    make `DELTA` without attention.

    The heads must know their tasks before: train them on the frozen trunk, as the paper
    trains a linear classifier. The loss is the sum of the tasks' weighted losses. It is
    computed once more for each channel of each layer and each batch.

    Args:
        model: a compiled multi-task model on the pretrained trunk; it stays as it is.
        data: `(x, y)` or `(x, y, sample_weight)` of the target, as `fit` takes them; or
            a `tf.data.Dataset` of batches of these.
        layers: as for `DELTA`: names of layers, `None` for the last of each stage.
        batches: how many batches are looked at; `None` for all.
        batch_size: rows a batch, for arrays.
        standardize: whether to divide the increases of a layer by five times their
            standard deviation first. One channel of many changes a loss by little, so
            else the weights stay near 1: within 0.97 and 1.04 for the trunk of
            `shared_bottom.fashion_mnist`, where standardised they are 0.4 to 5.6.
        progress: whether to draw a bar, on standard error.

    Returns:
        The weights by the name of the layer, to be passed to `DELTA(weights=...)`.

    Raises:
        OptionError: there is no such layer, or the model isn't compiled.
        DataError: the data has no labels, or no rows.

    Example:

    ```python
    transfer.use_base(model, "feature")
    model.fit(few_rows, epochs=10)
    weights = transfer.channel_weights(model, few_rows)
    transfer.use_base(model, "parameter")
    tuned = transfer.regularize(model, transfer.DELTA(0.01, weights=weights))
    tuned.fit(few_rows, epochs=20)
    ```

    Reference: Xingjian Li, Haoyi Xiong, Hanchao Wang, Yuxuan Rao, Liping Liu, Jun Huan,
    *DELTA: Deep Learning Transfer Using Feature Map with Attention for Convolutional
    Networks*, ICLR 2019, <https://arxiv.org/abs/1901.09229>, section 3.3.

    Differences from the authors' code: it sets filters of the last convolution of a
    stage to 0, before normalisation and the shortcut, while here it is the channel that
    is compared. It also standardises the increases, which the paper doesn't say:
    `standardize=True` does so. It looks at four batches, the default here.
    """
    if not model.compiled:
        raise OptionError(
            f"The worth of a channel is measured by the loss, and {model.name!r} isn't "
            "compiled: call model.compile(...) first."
        )
    compared = compared_layers(model, layers)
    network, switches = _switchable(model, compared)
    rows = labelled_batches(model, data, batch_size, LABELS)
    rows = rows if batches is None else rows.take(batches)

    @tf.function(reduce_retracing=True)
    def loss(x: Any, y: Any, sample_weight: Any) -> Any:
        outputs = network(x, training=False)
        return ops.sum(model.task_losses(y, outputs, sample_weight, count=False)[0])

    increases = {name: np.zeros(one.channels) for name, one in switches.items()}
    count = 0
    total = sum(map(len, increases.values()))
    with bar("channels", shown=progress) as drawn:
        for batch in rows:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
            size = len(next(iter(x.values())))
            before = float(loss(x, y, sample_weight))
            turns = drawn.track(
                _each(switches), total=total, description=f"batch {count + 1}"
            )
            for name, channel in turns:
                with switches[name].off(channel):
                    change = float(loss(x, y, sample_weight)) - before
                increases[name][channel] += size * change
            count += size
    if not count:
        raise DataError("There is no row in the data to measure the channels on.")
    return {name: _softmax(one / count, standardize) for name, one in increases.items()}


class Switches(keras.layers.Layer):
    """Lets all channels through but those that are off, which become 0.

    Input shape: `(batch, ..., channels)`.

    Output shape: the same.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "trainable": False})
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.channels = int(input_shape[-1])
        self.on = self.add_weight(
            name="on", shape=(self.channels,), initializer="ones", trainable=False
        )

    def call(self, inputs: Any) -> Any:
        return inputs * ops.cast(self.on, inputs.dtype)

    @contextmanager
    def off(self, channel: int) -> Iterator[None]:
        """Switch one channel off inside a `with` block."""
        self.on.assign(np.arange(self.channels) != channel)
        yield
        self.on.assign(np.ones(self.channels))


def _switchable(
    model: MultiTaskModel, compared: Mapping[str, Any]
) -> tuple[Any, dict[str, Switches]]:
    """Return a model of the same layers with switches behind some, and these."""
    names = {id(tensor): name for name, tensor in compared.items()}
    switches = {name: Switches() for name in compared}
    inputs = {
        one.name: keras.Input(one.shape[1:], dtype=one.dtype, name=one.name)
        for one in model.inputs
    }
    values = {id(one): inputs[one.name] for one in model.inputs}
    for step in steps(list(model.outputs)):
        repeat([step], values)
        for tensor in step.outputs:
            if id(tensor) in names:
                switch = switches[names[id(tensor)]]
                values[id(tensor)] = switch(values[id(tensor)])
    outputs = {task.name: values[id(model.output[task.name])] for task in model.tasks}
    return keras.Model(inputs, outputs), switches


def _each(switches: Mapping[str, Switches]) -> Iterator[tuple[str, int]]:
    for name, one in switches.items():
        for channel in range(one.channels):
            yield name, channel


def _softmax(increases: Any, standardize: bool) -> list[float]:
    """Return the softmax of the increases of a layer, times their number."""
    if standardize:
        deviation = np.std(increases) or 1.0
        increases = (increases - np.mean(increases)) / deviation / 5
    powers = np.exp(increases - np.max(increases))
    return (len(powers) * powers / np.sum(powers)).tolist()
