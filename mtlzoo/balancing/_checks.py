from typing import Any

import keras


def require_nonnegative(losses: Any, owner: str) -> Any:
    """Return `losses`; where one is negative, the training step raises.

    Inside a graph only TensorFlow can raise; other backends go on, to NaN.
    """
    if keras.backend.backend() != "tensorflow":
        return losses
    import tensorflow as tf

    check = tf.debugging.assert_non_negative(
        losses,
        f"{owner} takes the logarithm of the losses, so each must be at least 0. "
        "Choose another balancing, or a loss that can't be negative.",
    )
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(losses)
