import keras
import numpy as np
import pytest
import tensorflow as tf
from by_hand import dense, fill, predict, relu, rows, sigmoid, tiny

from mtlzoo import tasks
from mtlzoo.errors import LabelError, OptionError, TaskError
from mtlzoo.sharing._supervision import supervised

X = rows(8)
CLICK = np.array([1, 1, 1, 0, 0, 1, 0, 0], "float32")
BUY = np.array([1, 0, 1, 0, 0, 0, 0, 0], "float32")
Y = {"click": CLICK, "buy": BUY}
NAMES = ("click", "buy")
FAMILY = ("esmm", "escm2_ips", "escm2_dr")


def funnel(name="esmm", **options):
    return fill(tiny(name, NAMES, tower_units=(4,), **options))


def cross_entropy(labels, probabilities):
    p = np.clip(probabilities, 1e-7, 1 - 1e-7)
    return -labels * np.log(p) - (1 - labels) * np.log(1 - p)


def extra_loss(model, y=None, sample_weight=None):
    with supervised(({"x": X}, Y if y is None else y, sample_weight)):
        model({"x": X})
    return float(model.losses[0])


@pytest.mark.parametrize("name", FAMILY)
def test_purchase_is_click_times_purchase_given_click(name):
    outputs = predict(funnel(name), X)
    assert set(outputs) == {"click", "buy", "buy_given_click"}
    product = outputs["click"] * outputs["buy_given_click"]
    np.testing.assert_allclose(outputs["buy"], product, atol=1e-7)


def test_esmm_by_hand():
    model = funnel()
    found = predict(model, X)

    def rate(task):
        hidden = dense(model, f"sharing.tower.{task}.dense_1", X)
        return dense(model, f"heads.{task}.logits", hidden, sigmoid)

    np.testing.assert_allclose(found["click"], rate("click"), atol=1e-6)
    np.testing.assert_allclose(found["buy_given_click"], rate("buy"), atol=1e-6)


def test_both_losses_are_over_all_rows():
    model = funnel()
    outputs = predict(model, X)
    logs = model.evaluate({"x": X}, Y, verbose=0, return_dict=True)
    for task, labels in Y.items():
        expected = cross_entropy(labels, outputs[task][:, 0]).mean()
        assert logs[f"{task}_loss"] == pytest.approx(expected, rel=1e-5)
    assert logs["loss"] == pytest.approx(logs["click_loss"] + logs["buy_loss"], 1e-6)


@pytest.mark.parametrize("min_propensity", [0.01, 0.6])
def test_inverse_propensity_loss_by_hand(min_propensity):
    model = funnel("escm2_ips", weight=2.0, min_propensity=min_propensity)
    out = {name: value[:, 0] for name, value in predict(model, X).items()}
    error = cross_entropy(BUY, out["buy_given_click"])
    propensity = np.maximum(out["click"], min_propensity)
    expected = 2.0 * np.mean(CLICK * error / propensity)
    assert extra_loss(model) == pytest.approx(expected, rel=1e-5)


def test_doubly_robust_loss_by_hand():
    model = funnel("escm2_dr", min_propensity=0.01)
    out = {name: value[:, 0] for name, value in predict(model, X).items()}
    hidden = dense(model, "sharing.imputation.dense_1", X)
    guess = dense(
        model, "sharing.imputation.error", hidden, lambda x: np.log1p(np.exp(x))
    )[:, 0]
    miss = cross_entropy(BUY, out["buy_given_click"]) - guess
    inverse = CLICK / np.maximum(out["click"], 0.01)
    expected = np.mean(guess + inverse * miss + inverse * miss**2)
    assert extra_loss(model) == pytest.approx(expected, rel=1e-5)
    assert relu(-guess).max() == 0


@pytest.mark.parametrize("name", ["escm2_ips", "escm2_dr"])
def test_without_weight_on_its_loss_it_is_esmm(name):
    model, plain = funnel(name, weight=0.0), funnel()
    for one in plain.layers:
        if one.weights:
            one.set_weights(model.get_layer(one.name).get_weights())
    for output, expected in predict(plain, X).items():
        np.testing.assert_allclose(predict(model, X)[output], expected, atol=1e-7)
    if name == "escm2_ips":
        assert extra_loss(model) == 0


def test_a_click_that_is_certain_leaves_the_conversion_rate():
    model = funnel()
    kernel, _ = model.get_layer("heads.click.logits").get_weights()
    model.get_layer("heads.click.logits").set_weights([0 * kernel, np.array([50.0])])
    found = predict(model, X)
    np.testing.assert_allclose(found["buy"], found["buy_given_click"], atol=1e-7)


def test_rows_without_a_label_count_for_nothing():
    model = funnel("escm2_ips")
    labelled = {"click": CLICK[:4], "buy": BUY[:4]}
    with supervised(({"x": X[:4]}, labelled)):
        model({"x": X[:4]})
    expected = float(model.losses[0])
    missing = np.concatenate([BUY[:4], np.full(4, np.nan)]).astype("float32")
    assert extra_loss(model, {"click": CLICK, "buy": missing}) == pytest.approx(
        expected, rel=1e-5
    )
    weights = {"buy": np.array([1, 1, 1, 1, 0, 0, 0, 0], "float32")}
    assert extra_loss(model, sample_weight=weights) == pytest.approx(expected, rel=1e-5)
    assert extra_loss(model, {"click": CLICK}) == 0


@pytest.mark.parametrize("name", ["escm2_ips", "escm2_dr"])
def test_conversion_loss_does_not_train_the_click_tower(name):
    model = funnel(name)
    with tf.GradientTape() as tape, supervised(({"x": X}, Y)):
        model({"x": X})
        loss = model.losses[0]
    named = {one.path: one.value for one in model.trainable_variables}
    gradients = tape.gradient(loss, named)
    of_click = [path for path in named if ".click" in path]
    assert of_click
    assert all(
        gradients[path] is None or not np.any(gradients[path]) for path in of_click
    )
    assert np.any(gradients["heads.buy.logits/kernel"])


@pytest.mark.parametrize("name", FAMILY)
def test_a_purchase_without_a_click_is_refused(name):
    model = funnel(name)
    y = {"click": CLICK, "buy": np.ones(8, "float32")}
    for train in (model.fit, model.evaluate):
        with pytest.raises(LabelError, match="'buy' must imply 'click'"):
            train({"x": X}, y, verbose=0)
    data = tf.data.Dataset.from_tensor_slices(({"x": X}, y)).batch(4)
    with pytest.raises(LabelError, match="'buy' must imply 'click'"):
        model.fit(data, verbose=0)


def test_missing_labels_break_no_rule():
    model = funnel()
    click = np.where(CLICK == 1, CLICK, np.nan)
    buy = np.array([np.nan, 1, 0, 1, 0, 0, 0, 0])
    model.evaluate({"x": X}, {"click": click, "buy": buy}, verbose=0)
    model.evaluate({"x": X}, {"buy": buy}, verbose=0)


@pytest.mark.parametrize("name", FAMILY)
def test_tasks_that_are_no_funnel_are_refused(name):
    with pytest.raises(
        TaskError, match=r"takes two Binary tasks.*Received: Binary 'a'"
    ):
        tiny(name, ["a"])
    with pytest.raises(TaskError, match="takes two Binary tasks"):
        tiny(name, ["a", "b", "c"])
    with pytest.raises(TaskError, match="Regression 'a'"):
        tiny(name, ["a", "b"], tasks.Regression)


def test_the_floor_of_the_propensity_must_be_a_probability():
    with pytest.raises(OptionError, match="`min_propensity` of the architecture 'escm"):
        tiny("escm2_dr", min_propensity=0.0)


@pytest.mark.parametrize("name", FAMILY)
def test_saved_model_keeps_its_extra_output_losses_and_rule(name, tmp_path):
    model = funnel(name)
    model.train_on_batch({"x": X}, Y)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for key, value in predict(model, X).items():
        np.testing.assert_allclose(predict(again, X)[key], value, atol=1e-6)
    if name != "esmm":
        assert extra_loss(again) == pytest.approx(extra_loss(model), rel=1e-6)
    with pytest.raises(LabelError, match="must imply"):
        again.fit({"x": X}, {"click": CLICK, "buy": np.ones(8)}, verbose=0)
