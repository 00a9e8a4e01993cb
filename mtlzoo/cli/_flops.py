import contextlib
import io
import logging
from typing import Any


def forward_flops(model: Any) -> int | None:
    """Return the floating-point operations of predicting one row.

    Multiplications and additions count one each, as TensorFlow's profiler counts them;
    operations that it has no count for, such as look-ups, count none. `None` where it
    can't tell, since a shape depends on the row, as with texts.
    """
    import tensorflow as tf

    specs = {
        tensor.name: tf.TensorSpec(
            (1, *(16 if size is None else size for size in tensor.shape[1:])),
            tensor.dtype,
        )
        for tensor in model.inputs
    }
    predict = tf.function(lambda x: model(x, training=False))
    graph = predict.get_concrete_function(specs).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # the profiler warns of its own insides
    skipped = io.StringIO()  # all that it says of operations that it leaves out
    try:
        with contextlib.redirect_stderr(skipped):
            profile = tf.compat.v1.profiler.profile(graph, options=options)
    finally:
        logger.setLevel(level)
    if "incomplete shapes" in skipped.getvalue():
        return None
    return int(profile.total_float_ops)
