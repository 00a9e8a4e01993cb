from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from mtlzoo import _data
from mtlzoo.errors import DataError, OptionError
from mtlzoo.model import MultiTaskModel


def reestimate_batch_norm(
    model: MultiTaskModel, x: Any, *, batch_size: int = 256
) -> None:
    """Give batch normalisation the means and variances of other data (AdaBN).

    What a network has learned stays as it is; only the statistics by which each
    `BatchNormalization` layer normalises are taken anew, from rows of the target
    domain. They need no labels. All of a layer's rows count the same, so the result
    hardly depends on `batch_size`; layers before it normalise by their batch meanwhile.

    Args:
        model: with batch normalisation, trained on a source domain; it is changed.
        x: inputs of the target domain: a dict of arrays by input name, or a batched
            `tf.data.Dataset` of `x` or `(x, y)`.
        batch_size: rows a batch, for arrays.

    Raises:
        OptionError: the model has no batch normalisation.
        DataError: there are fewer than two rows, or inputs that don't fit the model.

    Reference: Yanghao Li et al., *Revisiting Batch Normalization For Practical Domain
    Adaptation*, 2016, <https://arxiv.org/abs/1603.04779>.
    """
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not layers:
        raise OptionError(
            f"{model.name!r} has no BatchNormalization layer, so there is nothing to "
            "estimate. Take MMD, CORAL or DANN."
        )
    rows = 0
    sums: list[tuple[Any, Any]] = [(0.0, 0.0) for _ in layers]
    with _batch_statistics(model, layers):
        for batch in _batches(model, x, batch_size):
            count = len(next(iter(batch.values())))
            if count < 2:
                continue  # one row alone has no variance
            model(batch, training=True)
            rows += count
            for index, layer in enumerate(layers):
                mean = np.asarray(layer.moving_mean, "float64")
                square = np.asarray(layer.moving_variance, "float64") + mean**2
                first, second = sums[index]
                sums[index] = (first + count * mean, second + count * square)
        if not rows:
            raise DataError("`x` must hold at least two rows to estimate a variance.")
        for layer, (first, second) in zip(layers, sums, strict=True):
            layer.moving_mean.assign(first / rows)
            variance = second / rows - (first / rows) ** 2
            layer.moving_variance.assign(np.maximum(variance, 0.0))


@contextmanager
def _batch_statistics(model: Any, layers: list[Any]) -> Iterator[None]:
    """Let a call of `model` in training mode leave its batch's statistics in `layers`.

    Dropout and the like stay off, and frozen layers take part.
    """
    noisy = [one for one in model._flatten_layers() if getattr(one, "rate", 0)]
    before = [(layer.momentum, layer.trainable) for layer in layers]
    rates = [layer.rate for layer in noisy]
    weights = [layer.get_weights() for layer in layers]
    finished = False
    try:
        for layer in layers:
            layer.momentum, layer.trainable = 0.0, True
        for layer in noisy:
            layer.rate = 0.0
        yield
        finished = True
    finally:
        for layer, (momentum, trainable) in zip(layers, before, strict=True):
            layer.momentum, layer.trainable = momentum, trainable
        for layer, rate in zip(noisy, rates, strict=True):
            layer.rate = rate
        if not finished:
            for layer, values in zip(layers, weights, strict=True):
                layer.set_weights(values)


def _batches(model: Any, x: Any, batch_size: int) -> Iterator[dict[str, Any]]:
    if _data.is_dataset(x):
        for batch, *_ in _data.prepare(model, x, labelled=False)[0]:
            yield batch
        return
    columns = _data.prepare_inputs(model, x)
    rows = len(next(iter(columns.values())))
    for start in range(0, rows, batch_size):
        yield {
            name: keras.ops.convert_to_tensor(column[start : start + batch_size])
            for name, column in columns.items()
        }
