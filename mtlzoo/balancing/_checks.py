from typing import Any

import keras


def require_nonnegative(losses: Any, owner: str) -> Any:
    """Return `losses`; where one is negative, the training step raises.

    Inside a graph only TensorFlow can raise; other backends go on, to NaN.
    """
    if keras.backend.backend() != "tensorflow":
        return losses
    import tensorflow as tf

    # NaN passes: a step that overflows under a loss scale is skipped, not an error.
    check = tf.debugging.Assert(
        tf.logical_not(tf.reduce_any(losses < 0)),
        [
            f"{owner} takes the logarithm of the losses, so each must be at least 0. "
            "Choose another balancing, or a loss that can't be negative. Losses:",
            losses,
        ],
    )
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(losses)
