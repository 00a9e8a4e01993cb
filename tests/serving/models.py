"""The models behind the golden responses, and some more for the rest of the table.

`python tests/serving/models.py FOLDER` writes them all with a `models.config`, to put
behind a real server: then `TFS_ADDR=host:8501 TFS_GRPC_ADDR=host:8500 pytest
tests/serving/test_conformance.py` runs the suite against that one, too.
"""

import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
PREDICT, CLASSIFY, REGRESS = (
    f"tensorflow/serving/{one}" for one in ("predict", "classify", "regress")
)


def signature(inputs, outputs, method=PREDICT):
    return v1.saved_model.signature_def_utils.build_signature_def(
        {
            name: v1.saved_model.utils.build_tensor_info(one)
            for name, one in inputs.items()
        },
        {
            name: v1.saved_model.utils.build_tensor_info(one)
            for name, one in outputs.items()
        },
        method,
    )


def save(folder, build):
    """Write the signatures that `build` returns, as a graph of version 1 has them."""
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = build()
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING], signature_def_map=signatures
        )
        builder.save()


def half_plus_two():
    found = _half_plus_two()
    for definition in found.values():
        for tensors in (definition.inputs, definition.outputs):
            for info in tensors.values():
                if info.dtype == tf.float32.as_datatype_enum:
                    # As in the server's own test data, though any shape is computed.
                    info.tensor_shape.CopyFrom(tf.TensorShape([None, 1]).as_proto())
    return found


def _half_plus_two():
    halve, two, three = (
        v1.get_variable(name, initializer=value)
        for name, value in (("a", 0.5), ("b", 2.0), ("c", 3.0))
    )
    serialized = v1.placeholder(tf.string, name="tf_example")
    features = tf.io.parse_example(
        serialized,
        {name: tf.io.FixedLenFeature([1], tf.float32, 0.0) for name in ("x", "x2")},
    )
    x = tf.identity(features["x"], name="x")
    y = tf.add(x * halve, two, name="y")
    y2 = tf.add(x * halve, three, name="y2")
    x2 = tf.identity(features["x2"], name="x2")
    y3 = tf.add(x2 * halve, three, name="y3")
    return {
        "serving_default": signature({"x": x}, {"y": y}),
        "regress_x_to_y": signature({"inputs": serialized}, {"outputs": y}, REGRESS),
        "regress_x_to_y2": signature({"inputs": serialized}, {"outputs": y2}, REGRESS),
        "regress_x2_to_y3": signature({"inputs": x2}, {"outputs": y3}, REGRESS),
        "classify_x_to_y": signature({"inputs": serialized}, {"scores": y}, CLASSIFY),
        "classify_x2_to_y3": signature({"inputs": x2}, {"scores": y3}, CLASSIFY),
    }


def scalar():
    x = v1.placeholder(tf.float32, [None, 2], name="x")
    s = v1.placeholder(tf.string, [None], name="s")
    return {
        "serving_default": signature(
            {"x": x}, {"y": tf.reduce_sum(x, -1), "total": tf.reduce_sum(x)}
        ),
        "strings": signature(
            {"s": s},
            {
                "echo": tf.identity(s),
                "echo_bytes": tf.identity(s),
                "n": tf.strings.length(s),
            },
        ),
    }


def kinds():
    """A signature for each behaviour that the other models haven't got."""
    x = v1.placeholder(tf.float32, name="any")
    whole = v1.placeholder(tf.int32, [None], name="whole")
    text = v1.placeholder(tf.string, [None], name="text")
    scale = v1.placeholder_with_default(2.0, [], name="scale")
    optional = signature({"x": x, "scale": scale}, {"y": x * scale})
    optional.defaults["scale"].CopyFrom(tf.make_tensor_proto(2.0))
    labels = tf.stack([tf.strings.join(["not ", text]), text], axis=1)
    scores = tf.tile([[0.25, 0.75]], [tf.size(text), 1])
    return {
        "serving_default": signature({"x": x}, {"y": tf.identity(x)}),
        "whole": signature({"x": whole}, {"y": tf.identity(whole)}),
        "brain": signature({"x": x}, {"y": tf.cast(x, tf.bfloat16)}),
        "unequal": signature(
            {"x": x}, {"a": tf.concat([x, x], 0), "b": tf.identity(x)}
        ),
        "optional": optional,
        "none": signature({"x": x}, {"y": x[:0]}),
        "labelled": signature(
            {"inputs": text}, {"classes": labels, "scores": scores}, CLASSIFY
        ),
    }


def write_mtl(folder, version):
    """Write the Keras model of the golden responses, as Keras itself exports it."""
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    ctr = keras.layers.Dense(1, activation="sigmoid", name="ctr")
    topic = keras.layers.Dense(3, activation="softmax", name="topic")
    model = keras.Model({"a": a, "b": b}, {"ctr": ctr(joined), "topic": topic(joined)})
    ctr.set_weights([np.full((5, 1), 0.1 * version), np.zeros(1)])
    topic.set_weights([np.zeros((5, 3)), np.zeros(3)])
    model.export(str(folder), verbose=False)


CONFIG = """model_config_list {{
  config {{
    name: "half_plus_two" base_path: "{0}/half_plus_two" model_platform: "tensorflow"
    model_version_policy {{ all {{}} }} version_labels {{ key: "l" value: 123 }}
  }}
  config {{
    name: "mtl" base_path: "{0}/mtl" model_platform: "tensorflow"
    model_version_policy {{ all {{}} }}
  }}
  config {{ name: "scalar" base_path: "{0}/scalar" model_platform: "tensorflow" }}
  config {{ name: "kinds" base_path: "{0}/kinds" model_platform: "tensorflow" }}
}}
"""


def write_all(folder):
    """Write every model and a config for them; return the config's path."""
    save(folder / "half_plus_two" / "123", half_plus_two)
    shutil.copytree(folder / "half_plus_two" / "123", folder / "half_plus_two" / "124")
    save(folder / "scalar" / "1", scalar)
    save(folder / "kinds" / "1", kinds)
    for version in (1, 2):
        write_mtl(folder / "mtl" / str(version), version)
    config = folder / "models.config"
    config.write_text(CONFIG.format(folder))
    return config


if __name__ == "__main__":
    print(write_all(Path(sys.argv[1]).absolute()))
