from typing import Any

import keras
import tensorflow as tf

from mtlzoo.errors import DataError


def split_batch(data: Any, count: int, *, none_empty: bool = False) -> list[Any]:
    """Cut a batch into `count` equal parts; rows over are left out.

    The parts take turns: then the parts of two replicas' halves of a batch make up
    those of the whole batch.

    Args:
        data: what Keras gives a training step.
        count: how many parts.
        none_empty: whether the parts of a batch of fewer rows than parts have one row
            each, some the same one, and not none: layers such as `BatchNormalization`
            make NaN of that, and remember it.

    Raises:
        DataError: a tensor of the batch is sparse.
    """
    if count == 1:
        return [data]
    if any(isinstance(one, tf.SparseTensor) for one in keras.tree.flatten(data)):
        raise DataError(
            f"This balancing splits each batch into {count} parts, and TensorFlow's "
            "sparse tensors can't be split by rows. Give dense ones, or choose another "
            "balancing."
        )
    rows = tf.shape(keras.tree.flatten(data[0])[0])[0]

    def part(start: int) -> Any:
        first, end = tf.constant(start), count * (rows // count)
        if none_empty:
            first = tf.minimum(first, rows - 1)
            end = tf.maximum(end, first + 1)
        return keras.tree.map_structure(
            lambda one: None if one is None else one[first:end:count], data
        )

    return [part(start) for start in range(count)]
