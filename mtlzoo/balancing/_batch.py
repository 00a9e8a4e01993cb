from typing import Any

import keras
import tensorflow as tf


def split_batch(data: Any, count: int) -> list[Any]:
    """Cut a batch into `count` equal parts; rows over are left out.

    The parts take turns: then the parts of two replicas' halves of a batch make up
    those of the whole batch.

    Args:
        data: what Keras gives a training step.
        count: how many parts.
    """
    if count == 1:
        return [data]
    end = count * (tf.shape(keras.tree.flatten(data[0])[0])[0] // count)
    return [
        keras.tree.map_structure(
            lambda one, start=start: None if one is None else one[start:end:count],
            data,
        )
        for start in range(count)
    ]
