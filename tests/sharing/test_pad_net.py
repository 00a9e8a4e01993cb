import keras
import numpy as np
import pytest
from by_hand import NAMES, dense, fill, layer, represent, rows, sigmoid, tiny, weights

from mtlzoo import tasks, trunks
from mtlzoo.sharing._supervision import supervised

X = rows()
OPTIONS = {"units": 4, "trunk": trunks.MLP(())}


def test_pad_net_by_hand():
    model = fill(tiny("pad_net", ["a", "ab", "c"], **OPTIONS))
    first = {t: dense(model, f"sharing.first.{t}", X) for t in ("a", "ab", "c")}
    for task, found in represent(model, X).items():
        expected = first[task]
        for other in first:
            if other != task:
                (guide,) = weights(model, f"attention.{other}.{task}")
                (message,) = weights(model, f"message.{other}.{task}")
                mask = sigmoid(first[other] @ guide)
                expected = expected + mask * (first[other] @ message)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_without_messages_each_task_has_its_first_features():
    model = fill(tiny("pad_net", **OPTIONS))
    layer(model, "message.ab.a").set_weights([np.zeros((4, 4))])
    np.testing.assert_allclose(
        represent(model, X)["a"], dense(model, "sharing.first.a", X), atol=1e-6
    )


def test_losses_of_the_first_predictions_by_hand():
    model = fill(
        tiny(
            "pad_net",
            first_weight=0.5,
            tasks=[tasks.Binary("a", loss_weight=3.0), tasks.Binary("ab")],
            **OPTIONS,
        )
    )
    label = np.array([1, 0, np.nan, 1, 0], "float32")
    weight = {"a": np.array([1, 2, 1, 1, 0], "float32")}
    with supervised(({"x": X}, {"a": label}, weight)):
        model({"x": X})
    first = dense(model, "sharing.first.a", X)
    p = dense(model, "sharing.first.a.logits", first, sigmoid)[:, 0]
    losses = np.where(label == 1, -np.log(p), -np.log(1 - p))
    expected = (losses[0] + 2 * losses[1] + losses[3]) / 4
    assert [float(one) for one in model.losses] == pytest.approx(
        [0.5 * 3.0 * expected], rel=1e-5
    )


def test_without_labels_there_is_no_loss():
    model = tiny("pad_net", **OPTIONS)
    model({"x": X})
    assert model.losses == []


def test_fit_and_evaluate_count_the_first_losses():
    model = tiny("pad_net", **OPTIONS)
    y = {task: (X[:, 0] > 0).astype("float32") for task in NAMES}
    logs = model.evaluate({"x": X}, y, verbose=0, return_dict=True)
    assert logs["loss"] > logs["a_loss"] + logs["ab_loss"] + 0.1
    before = model.get_layer("sharing.first.a.logits").get_weights()[0]
    model.fit({"x": X}, y, verbose=0)
    assert not np.allclose(
        before, model.get_layer("sharing.first.a.logits").get_weights()[0]
    )


def test_dense_tasks_exchange_maps_by_convolutions():
    model = tiny(
        "pad_net",
        inputs={"x": (8, 8, 2)},
        tasks=[tasks.Dense("parts", 3), tasks.Dense("depth", channels=1)],
        trunk=trunks.CNN((4,)),
        units=4,
    )
    assert layer(model, "message.depth.parts").kernel.shape == (3, 3, 4, 4)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype("float32")
    parts = np.random.default_rng(0).integers(0, 3, (2, 8, 8))
    depth = np.ones((2, 8, 8, 1))
    assert model.predict({"x": x}, verbose=0)["parts"].shape == (2, 8, 8, 3)
    model.train_on_batch({"x": x}, {"parts": parts, "depth": depth})


def test_a_loaded_model_keeps_its_first_losses(tmp_path):
    model = tiny("pad_net", **OPTIONS)
    y = {task: (X[:, 0] > 0).astype("float32") for task in NAMES}
    model.train_on_batch({"x": X}, y)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    losses = [one.evaluate({"x": X}, y, verbose=0)[0] for one in (model, again)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
