import os

import pytest

pytest.importorskip("tensorflow_serving.apis", reason="needs the extra serving")

from serving import backends, models


@pytest.fixture(autouse=True)
def _restore_keras_settings():
    """Nothing here changes them, and clearing Keras's state takes half a second."""


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """The config file of a folder with all models of the suite."""
    return models.write_all(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="session")
def in_process(zoo):
    with backends.InProcess(zoo) as backend:
        yield backend


@pytest.fixture(scope="session")
def over_sockets(zoo):
    with backends.OverSockets(zoo) as backend:
        yield backend


@pytest.fixture(scope="session")
def batching(zoo):
    with backends.OverSockets(zoo, max_batch_size=32) as backend:
        yield backend


@pytest.fixture(scope="session")
def real_server():
    return backends.Addressed(os.environ["TFS_ADDR"], os.environ["TFS_GRPC_ADDR"])


BACKENDS = ["in_process", "over_sockets"]
if "TFS_ADDR" in os.environ:
    BACKENDS.append("real_server")


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def half(zoo):
    """A folder with a version of half_plus_two, to copy."""
    return zoo.parent / "half_plus_two" / "123"


@pytest.fixture
def plus_three(tmp_path_factory):
    """A version that answers otherwise."""
    folder = tmp_path_factory.mktemp("other") / "1"

    def build():
        signatures = models.half_plus_two()
        signatures["serving_default"].outputs["y"].name = "y2:0"
        return signatures

    models.save(folder, build)
    return folder
