import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _restore_keras_settings():
    yield
    keras.config.set_dtype_policy("float32")
    # Python's own collector frees the memory; to call it after each test takes longer
    # than most tests.
    keras.utils.clear_session(free_memory=False)


@pytest.fixture(scope="session", autouse=True)
def _one_process_tries_all_exports():
    from mtlzoo.export._answers import keeping

    with keeping():
        yield
