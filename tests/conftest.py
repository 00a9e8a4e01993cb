import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

# Keras is imported inside: the process that only hands out the tests needs none.


def pytest_collection_finish(session):
    """Let Python's collector not look through all modules and tests each time."""
    if session.items:
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _seed():
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _restore_keras_settings():
    import keras

    yield
    keras.config.set_dtype_policy("float32")
    # Python's own collector frees the memory; to call it after each test takes longer
    # than most tests.
    keras.utils.clear_session(free_memory=False)


@pytest.fixture(autouse=True)
def _let_graphs_go():
    """Take from TensorFlow what keeps the graph of each training step for good.

    A custom gradient in a graph, as in each step of Keras's optimizers, stays in the
    registry of gradients, and with it the graph: thousands of them, which Python's
    collector looks through again and again.
    """
    from tensorflow.python.framework import ops

    registered = ops.gradient_registry._registry
    before = set(registered)
    yield
    for name in registered.keys() - before:
        del registered[name]


@pytest.fixture(scope="session", autouse=True)
def _one_process_tries_all_exports():
    from mtlzoo.export._answers import keeping

    with keeping():
        yield
