import keras
import numpy as np
import pytest
import tensorflow as tf
from by_hand import NAMES, dense, fill, mlp, predict, represent, rows, softmax, tiny

from mtlzoo import tasks, trunks
from mtlzoo.sharing._shared_private import GradientReversal
from mtlzoo.sharing._supervision import supervised

X = rows()
OPTIONS = {"trunk": mlp(4)}
# Rows of one task, of the other, of both, of none.
Y = {
    "a": np.array([1, 0, np.nan, 1, np.nan], "float32"),
    "ab": np.array([np.nan, np.nan, 1, 0, np.nan], "float32"),
}
OWNERS = np.array([[1, 0], [1, 0], [0, 1], [0.5, 0.5], [0, 0]])


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-6)


def test_representation_by_hand_joins_shared_and_private():
    model = fill(tiny("shared_private", **OPTIONS))
    shared = dense(model, "trunk.dense_1", X)
    for task, found in represent(model, X).items():
        private = dense(model, f"trunk.{task}.dense_1", X)
        np.testing.assert_allclose(found, np.hstack([shared, private]), atol=1e-5)


def test_without_weights_on_private_features_it_is_shared_bottom():
    model, bottom = (
        fill(tiny("shared_private", **OPTIONS)),
        tiny("shared_bottom", **OPTIONS),
    )
    for name in ("trunk.dense_1", *(f"heads.{task}.logits" for task in NAMES)):
        weights = model.get_layer(name).get_weights()
        if name.startswith("heads"):
            weights[0][4:] = 0
            model.get_layer(name).set_weights(weights)
            weights[0] = weights[0][:4]
        bottom.get_layer(name).set_weights(weights)
    for task in NAMES:
        np.testing.assert_allclose(
            predict(model, X)[task], predict(bottom, X)[task], atol=1e-6
        )


def test_losses_by_hand():
    model = fill(tiny("shared_private", adversarial=0.2, orthogonality=0.3, **OPTIONS))
    with supervised(({"x": X}, Y)):
        model({"x": X})
    shared = dense(model, "trunk.dense_1", X)
    kernel, bias = model.get_layer("sharing.discriminator").get_weights()
    logs = np.log(softmax(shared @ kernel + bias))
    adversarial = 0.2 * -(OWNERS * logs).sum() / 4
    apart = sum(
        0.3
        * np.sum(
            (unit(shared).T @ unit(dense(model, f"trunk.{t}.dense_1", X)) / 5) ** 2
        )
        for t in NAMES
    )
    assert float(sum(model.losses)) == pytest.approx(adversarial + apart, rel=1e-3)


def test_equal_shared_and_private_features_cost():
    model = tiny("shared_private", adversarial=0.0, orthogonality=1.0, **OPTIONS)
    model.get_layer("trunk.a.dense_1").set_weights(
        model.get_layer("trunk.dense_1").get_weights()
    )
    model({"x": X})
    assert float(sum(model.losses)) > 0.1


def gradients(model, names):
    with tf.GradientTape() as tape, supervised(({"x": X}, Y)):
        model({"x": X})
        loss = sum(model.losses)
    variables = [model.get_layer(name).kernel.value for name in names]
    return tape.gradient(loss, variables)


def test_the_shared_trunk_works_against_the_discriminator():
    model = fill(tiny("shared_private", adversarial=1.0, orthogonality=0.0, **OPTIONS))
    trunk, discriminator = gradients(model, ["trunk.dense_1", "sharing.discriminator"])
    shared_kernel, shared_bias = model.get_layer("trunk.dense_1").get_weights()
    kernel, bias = model.get_layer("sharing.discriminator").get_weights()
    x, owners = tf.constant(X), tf.constant(OWNERS, "float32")
    with tf.GradientTape() as tape:
        first, second = tf.Variable(shared_kernel), tf.Variable(kernel)
        shared = tf.nn.relu(x @ first + shared_bias)
        logs = tf.nn.log_softmax(shared @ second + bias)
        loss = -tf.reduce_sum(owners * logs) / 4
    plain_trunk, plain_discriminator = tape.gradient(loss, [first, second])
    np.testing.assert_allclose(trunk, -plain_trunk, atol=1e-5)
    np.testing.assert_allclose(discriminator, plain_discriminator, atol=1e-5)
    assert np.any(plain_trunk)


def test_reversal_leaves_values_as_they_are():
    np.testing.assert_array_equal(GradientReversal()(X), X)


def test_a_task_without_labels_in_the_step_owns_no_row():
    model = fill(tiny("shared_private", adversarial=1.0, orthogonality=0.0, **OPTIONS))
    with supervised(({"x": X}, {"a": np.ones(5, "float32")})):
        model({"x": X})
    kernel, bias = model.get_layer("sharing.discriminator").get_weights()
    shares = softmax(dense(model, "trunk.dense_1", X) @ kernel + bias)
    assert float(sum(model.losses)) == pytest.approx(-np.log(shares[:, 0]).mean(), 1e-4)


def test_training_and_reloading(tmp_path):
    model = tiny("shared_private", **OPTIONS)
    model.fit({"x": X}, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    losses = [one.evaluate({"x": X}, Y, verbose=0)[0] for one in (model, again)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_tagging_and_pooled_tasks_together():
    model = tiny(
        "shared_private",
        inputs={"text": (6, 4)},
        tasks=[tasks.SequenceTagging("word", 3), tasks.Binary("topic")],
        trunk=trunks.RNN((4,)),
    )
    x = np.ones((2, 6, 4), "float32")
    y = {"word": np.array([[0, 1, 2, -1, -1, -1], [-1] * 6]), "topic": np.array([1, 0])}
    logs = model.train_on_batch({"text": x}, y, return_dict=True)
    assert np.isfinite(logs["loss"])
