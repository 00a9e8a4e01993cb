"""Models whose variables have shapes but take no memory yet."""

import contextlib
from collections.abc import Iterator

import keras
from keras.src.backend.common import global_state

_PENDING = "uninitialized_variables"
"""Where Keras keeps the variables that it will allocate at the end of such a scope."""


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let layers be built without their variables being allocated.

    They are allocated at the end of the block; if it ends by an error, never. So a
    config that asks for terabytes can be found out by its shapes.
    """
    before = global_state.get_global_attribute(_PENDING)
    global_state.set_global_attribute(_PENDING, [])
    scope = keras.StatelessScope()
    try:
        with scope:
            try:
                yield
            except BaseException:
                scope.initialize_variables = False
                raise
    finally:
        global_state.set_global_attribute(_PENDING, before or [])
