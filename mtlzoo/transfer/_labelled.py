from typing import Any

import tensorflow as tf

from mtlzoo import _data
from mtlzoo.errors import DataError
from mtlzoo.model import MultiTaskModel


def labelled_batches(
    model: MultiTaskModel, data: Any, batch_size: int, why: str
) -> tf.data.Dataset:
    """Return batches of inputs, labels and perhaps sample weights.

    Args:
        model: the data is of its inputs and tasks.
        data: `(x, y)` or `(x, y, sample_weight)`, as `fit` takes them; or a
            `tf.data.Dataset` of batches of these.
        batch_size: rows a batch, for arrays.
        why: what labels are there for, a sentence without its full stop.

    Raises:
        DataError: arrays have no labels with them.
    """
    if _data.is_dataset(data):
        return _data.prepare(model, data)[0]
    parts = data if isinstance(data, tuple) else (data,)
    x, y, sample_weight = _data.prepare(model, *parts)
    if y is None:
        raise DataError(f"{why}: give (x, y), such as dataset.arrays('train').")
    whole = (x, y, sample_weight) if sample_weight else (x, y)
    return tf.data.Dataset.from_tensor_slices(whole).batch(batch_size)
