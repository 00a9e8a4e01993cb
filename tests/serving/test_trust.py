"""A model that does more than compute isn't served, unless its maker is trusted."""

import pytest
import tensorflow as tf
from serving.models import save, signature

from mtlzoo import export, serving
from mtlzoo.serving import ServingError

v1 = tf.compat.v1


@pytest.fixture
def reader(tmp_path):
    """A folder with a model that reads the file which a request names."""

    def build():
        v1.get_variable("v", initializer=1.0)
        path = v1.placeholder(tf.string, [], name="path")
        content = tf.io.read_file(path)
        return {"serving_default": signature({"path": path}, {"y": content})}

    save(tmp_path / "m" / "1", build)
    return tmp_path / "m"


def test_refused(reader):
    with (
        pytest.raises(ServingError, match=r"(?s)ReadFile.*serve it with --trust"),
        serving.serve(reader, port=0, grpc_port=0),
    ):
        pass


def test_trusted(reader, tmp_path):
    (tmp_path / "secret").write_text("words")
    with (
        serving.serve(reader, port=0, grpc_port=0, trust=True) as server,
        serving.Client(server.url, "m") as client,
    ):
        path = str(tmp_path / "secret")
        assert client.predict({"path": path})["y"].item() == b"words"


@pytest.mark.parametrize("model", ["half_plus_two/123", "mtl/1", "scalar/1", "kinds/1"])
def test_models_of_the_suite_only_compute(model, zoo):
    assert export.scan(zoo.parent / model) == set()
