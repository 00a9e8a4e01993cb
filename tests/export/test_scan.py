"""A model that could read files, call Python or reach other machines is found out."""

import keras
import pytest
import tensorflow as tf
from examples import INPUTS, TASKS, TRUNKS
from serving.models import save, signature
from tensorflow.core.protobuf import saved_model_pb2

import mtlzoo
from mtlzoo import export
from mtlzoo.errors import ExportError
from mtlzoo.export._offer import Offer

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


def reads_records():
    record = tf.raw_ops.RecordInput(file_pattern="/tmp/*", batch_size=1)
    return {"serving_default": signature({}, {"y": record})}


def talks_to_another_process():
    x = v1.placeholder(tf.float32, [None], name="x")
    y = tf.raw_ops.Recv(
        tensor_type=tf.float32,
        tensor_name="x",
        send_device="/job:other",
        send_device_incarnation=1,
        recv_device="/job:this",
    )
    return {"serving_default": signature({"x": x}, {"y": y})}


def samples_from_a_file():
    x = v1.placeholder(tf.int64, [None, 1], name="x")
    found = tf.random.fixed_unigram_candidate_sampler(
        x, 1, 1, True, 2, vocab_file="/etc/passwd"
    )
    return {"serving_default": signature({"x": x}, {"y": found[0]})}


def saves_where_a_request_says():
    path = v1.placeholder(tf.string, [], name="path")
    saved = tf.raw_ops.SaveV2(
        prefix=path, tensor_names=["v"], shape_and_slices=[""], tensors=[[1.0]]
    )
    with tf.control_dependencies([saved]):
        y = tf.identity(path)
    return {"serving_default": signature({"path": path}, {"y": y})}


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
        (saves_where_a_request_says, "SaveV2"),
        (makes_a_dataset, "TextLineDataset"),
        (reads_records, "RecordInput"),
        (talks_to_another_process, "Recv"),
        (samples_from_a_file, "FixedUnigramCandidateSampler"),
    ],
)
def test_found(build, operation, tmp_path):
    save(tmp_path / "1", with_variable(build))
    assert operation in export.scan(tmp_path / "1")
    with pytest.raises(ExportError, match=f"{operation}.* load it with trust=True"):
        export.load(tmp_path)


def with_variable(build):
    """A model has weights, and a saver for them that must not be taken for harm."""

    def built():
        v1.get_variable("v", initializer=1.0)
        return build()

    return built


def test_trusted(tmp_path):
    (tmp_path / "secret").write_text("words")
    save(tmp_path / "1", with_variable(reads))
    with export.load(tmp_path, trust=True) as exported:
        found = exported({"path": str(tmp_path / "secret")})
    assert found["y"] == b"words"


def test_operation_that_is_not_tensorflows(tmp_path):
    x = keras.Input((2,), name="x")
    Offer(keras.Model({"x": x}, {"y": keras.layers.Dense(1)(x)})).write(tmp_path)
    edit(tmp_path, lambda saved: rename_an_operation(saved, "MatMul", "MyMatMul"))
    assert export.scan(tmp_path) == {"MyMatMul"}


def edit(folder, change):
    """Change a stored SavedModel."""
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    change(saved.meta_graphs[0])
    path.write_bytes(saved.SerializeToString())


def rename_an_operation(meta_graph, before, after):
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == before:
                node.op = after


class TestVocabularyFiles:
    """A table is filled from a file: that of the model, or any on this machine."""

    @pytest.fixture
    def words(self, tmp_path):
        """A Keras model with a vocabulary from a file, exported."""
        (tmp_path / "words.txt").write_text("good\nbad\n")
        word = keras.Input((), dtype="string", name="word")
        lookup = keras.layers.StringLookup(vocabulary=str(tmp_path / "words.txt"))
        row = keras.layers.Embedding(3, 2)(lookup(word))
        Offer(keras.Model({"word": word}, {"y": row})).write(tmp_path / "1")
        return tmp_path / "1"

    def test_own(self, words):
        assert (words / "assets" / "words.txt").is_file()
        assert export.scan(words) == set()

    @pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "link"])
    def test_outside(self, name, words, tmp_path):
        (words / "assets" / "link").symlink_to(tmp_path / "secret")

        def move(meta_graph):
            meta_graph.asset_file_def[0].filename = name

        edit(words, move)
        assert export.scan(words) == {"InitializeTableFromTextFileV2"}

    def test_path_in_the_graph(self, words):
        """The function that fills the table is given a constant."""

        def replace(meta_graph):
            graph = meta_graph.graph_def
            node = graph.node.add(name="secret", op="Const")
            node.attr["value"].tensor.string_val.append(b"/etc/passwd")
            (read,) = [one for one in graph.node if one.name == "ReadVariableOp"]
            for one in graph.node:
                if one.input and one.input[0] == read.name:
                    one.input[0] = "secret"

        edit(words, replace)
        assert export.scan(words) == {"InitializeTableFromTextFileV2"}

    def test_variable_that_something_else_sets(self, words):
        def assign(meta_graph):
            graph = meta_graph.graph_def
            graph.node.add(name="secret", op="Const")
            (known,) = [one for one in graph.node if one.op == "AssignVariableOp"]
            again = graph.node.add(name="again", op="AssignVariableOp")
            again.input.extend([known.input[0], "secret"])

        edit(words, assign)
        assert export.scan(words) == {"InitializeTableFromTextFileV2"}

    def test_filled_when_a_request_says(self, tmp_path):
        def build():
            path = v1.placeholder(tf.string, [], name="path")
            table = tf.raw_ops.HashTableV2(
                key_dtype=tf.string, value_dtype=tf.int64, shared_name="t"
            )
            filled = tf.raw_ops.InitializeTableFromTextFileV2(
                table_handle=table, filename=path, key_index=-2, value_index=-1
            )
            with tf.control_dependencies([filled]):
                y = tf.identity(path)
            return {"serving_default": signature({"path": path}, {"y": y})}

        save(tmp_path, with_variable(build))
        assert export.scan(tmp_path) == {"InitializeTableFromTextFileV2"}

    def test_graph_that_no_one_could_run(self, words):
        def turn_in_a_circle(meta_graph):
            graph = meta_graph.graph_def
            (read,) = [one for one in graph.node if one.name == "ReadVariableOp"]
            read.op = "Identity"
            del read.input[:]
            read.input.append(read.name)

        edit(words, turn_in_a_circle)
        assert export.scan(words) == {"InitializeTableFromTextFileV2"}


@pytest.mark.parametrize("trunk", ["tabular", "multimodal", "rnn"])
def test_our_own_exports_pass(trunk, tmp_path):
    """With text, categories, dates, images and recurrent layers inside."""
    inputs, make_trunk = TRUNKS[trunk]
    model = mtlzoo.build(
        "mmoe",
        inputs=INPUTS[inputs],
        tasks=[TASKS["binary"]("one"), TASKS["regression"]("two")],
        trunk=make_trunk(),
        num_experts=2,
    )
    Offer(model).write(tmp_path)
    assert export.scan(tmp_path) == set()


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
    with pytest.raises(ExportError, match=message):
        export.scan(tmp_path)
