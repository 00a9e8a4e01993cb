"""A model that could read files, call Python or reach other machines isn't loaded."""

import pytest
import tensorflow as tf
from serving.models import save, signature

from mtlzoo import serving
from mtlzoo.serving._errors import ServingError
from mtlzoo.serving._scan import scan

v1 = tf.compat.v1


def reads():
    path = v1.placeholder(tf.string, [], name="path")
    return {"serving_default": signature({"path": path}, {"y": tf.io.read_file(path)})}


def writes():
    path = v1.placeholder(tf.string, [], name="path")
    with tf.control_dependencies([tf.io.write_file(path, "x")]):
        done = tf.constant(1.0)
    return {"serving_default": signature({"path": path}, {"y": done})}


def calls_python():
    x = v1.placeholder(tf.float32, [None], name="x")
    y = tf.numpy_function(lambda array: array, [x], tf.float32)
    return {"serving_default": signature({"x": x}, {"y": y})}


def in_a_function():
    path = v1.placeholder(tf.string, [], name="path")
    inner = tf.function(lambda name: tf.io.read_file(name))
    outer = tf.function(lambda name: inner(name))
    return {"serving_default": signature({"path": path}, {"y": outer(path)})}


def in_a_branch():
    path = v1.placeholder(tf.string, [], name="path")
    y = tf.cond(tf.equal(path, ""), lambda: "", lambda: tf.io.read_file(path))
    return {"serving_default": signature({"path": path}, {"y": y})}


def prints_to_a_file():
    x = v1.placeholder(tf.float32, [None], name="x")
    with tf.control_dependencies([tf.print(x, output_stream="file:///tmp/printed")]):
        y = tf.identity(x)
    return {"serving_default": signature({"x": x}, {"y": y})}


def restores_what_a_request_names():
    path = v1.placeholder(tf.string, [], name="path")
    (y,) = tf.raw_ops.RestoreV2(
        prefix=path, tensor_names=["v"], shape_and_slices=[""], dtypes=[tf.float32]
    )
    return {"serving_default": signature({"path": path}, {"y": y})}


def makes_a_dataset():
    path = v1.placeholder(tf.string, [None], name="path")
    dataset = tf.data.TextLineDataset(path)
    count = dataset.reduce(tf.constant(0), lambda total, _: total + 1)
    return {"serving_default": signature({"path": path}, {"y": count})}


@pytest.mark.parametrize(
    ("build", "operation"),
    [
        (reads, "ReadFile"),
        (writes, "WriteFile"),
        (calls_python, "PyFunc"),
        (in_a_function, "ReadFile"),
        (in_a_branch, "ReadFile"),
        (prints_to_a_file, "PrintV2"),
        (restores_what_a_request_names, "RestoreV2"),
        (makes_a_dataset, "TextLineDataset"),
    ],
)
def test_refused(build, operation, tmp_path):
    save(tmp_path / "m" / "1", with_variable(build))
    assert operation in scan(tmp_path / "m" / "1")
    with (
        pytest.raises(ServingError, match=f"(?s){operation}.*serve it with --trust"),
        serving.serve(tmp_path / "m", port=0, grpc_port=0),
    ):
        pass


def with_variable(build):
    """A model has weights, and a saver for them that must not be taken for harm."""

    def built():
        v1.get_variable("v", initializer=1.0)
        return build()

    return built


def test_trusted(tmp_path):
    (tmp_path / "secret").write_text("words")
    save(tmp_path / "m" / "1", with_variable(reads))
    with (
        serving.serve(tmp_path / "m", port=0, grpc_port=0, trust=True) as server,
        serving.Client(server.url, "m") as client,
    ):
        path = str(tmp_path / "secret")
        assert client.predict({"path": path})["y"].item() == b"words"


@pytest.mark.parametrize("model", ["half_plus_two/123", "mtl/1", "scalar/1", "kinds/1"])
def test_exports_pass(model, zoo):
    assert scan(zoo.parent / model) == set()


def test_our_own_exports_pass(tmp_path):
    """With text, categories, dates and images inside."""
    from examples import INPUTS, TASKS, TRUNKS

    import mtlzoo
    from mtlzoo import export

    for trunk in ("tabular", "multimodal"):
        inputs, make_trunk = TRUNKS[trunk]
        model = mtlzoo.build(
            "mmoe",
            inputs=INPUTS[inputs],
            tasks=[TASKS["binary"]("one"), TASKS["regression"]("two")],
            trunk=make_trunk(),
            num_experts=2,
        )
        assert scan(export.saved_model(model, tmp_path / trunk)) == set()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Could not find SavedModel .pb"),
        (b"\xff", "Can't parse .* it is corrupt"),
    ],
)
def test_unreadable(content, message, tmp_path):
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ServingError, match=message):
        scan(tmp_path)
