"""Weightings against values computed by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtlzoo import balancing
from mtlzoo.errors import TaskError

LOSSES = tf.constant([0.5, 2.0, 1.0])
ALL = tf.constant([True, True, True])


def built(method, num_tasks=3):
    method.build(num_tasks)
    return method


def gradient(method, losses=LOSSES, present=ALL):
    with tf.GradientTape() as tape:
        tape.watch(losses)
        total = method.total(losses, present)
    return float(total), tape.gradient(total, losses).numpy()


@pytest.mark.parametrize(
    "method",
    [
        balancing.DTP(),
        balancing.DWA(),
        balancing.Equal(),
        balancing.FAMO(),
        balancing.Fixed([0.2, 3.0, 1.0]),
        balancing.GLS(),
        balancing.IMTLL(),
        balancing.ScaleInvariant(),
        balancing.STCH(),
        balancing.Uncertainty(),
        balancing.AMTL(mean="arithmetic"),
        balancing.AutoLambda(),
    ],
    ids=repr,
)
def test_the_weights_are_the_gradient_of_the_total(method):
    method = built(method)
    _, slope = gradient(method)
    np.testing.assert_allclose(slope, method.weigh(LOSSES, ALL), rtol=1e-5)


def test_values_by_hand():
    assert gradient(built(balancing.Equal()))[0] == pytest.approx(3.5)
    assert gradient(built(balancing.Fixed([1, 2, 3])))[0] == pytest.approx(7.5)
    assert gradient(built(balancing.Uncertainty()))[0] == pytest.approx(1.75)
    assert gradient(built(balancing.IMTLL()))[0] == pytest.approx(3.5)
    assert gradient(built(balancing.GLS()))[0] == pytest.approx(1.0)
    assert gradient(built(balancing.ScaleInvariant()))[0] == pytest.approx(0, abs=1e-6)


def test_gls_neither_overflows_nor_vanishes():
    for scale in (1e-30, 1e30):
        method = built(balancing.GLS(epsilon=0.0), 40)
        losses = tf.fill([40], tf.constant(scale, "float32"))
        assert float(method.total(losses, tf.ones(40, "bool"))) == pytest.approx(scale)


def test_imtl_l_is_twice_uncertainty_of_the_opposite():
    one, other = built(balancing.IMTLL()), built(balancing.Uncertainty())
    one.log_scales.assign([0.3, -1.0, 0.5])
    other.log_variances.assign([-0.3, 1.0, -0.5])
    assert gradient(one)[0] == pytest.approx(2 * gradient(other)[0])


def test_dwa_favours_the_tasks_that_stand_still():
    method = built(balancing.DWA(temperature=2.0))
    np.testing.assert_allclose(method.weigh(LOSSES, ALL), 1.0)
    method.on_epoch_end(0, {})
    np.testing.assert_allclose(method.weigh(LOSSES * [0.5, 1.0, 1.0], ALL), 1.0)
    method.on_epoch_end(1, {})
    shares = np.exp(np.array([0.5, 1.0, 1.0]) / 2.0)
    expected = 3 * shares / shares.sum()
    np.testing.assert_allclose(method.weigh(LOSSES, ALL), expected, rtol=1e-6)


def test_stch_is_the_largest_relative_loss_for_small_mu():
    method = built(balancing.STCH(mu=0.01, warmup_epochs=1))
    assert gradient(method)[0] == pytest.approx(np.log(0.5 * 2.0 * 1.0), abs=1e-6)
    method.on_epoch_end(0, {})
    losses = LOSSES * tf.constant([0.5, 0.9, 0.1])
    total, slope = gradient(method, losses)
    assert total == pytest.approx(3 * np.log(0.9), rel=1e-3)
    assert np.argmax(np.abs(slope * losses)) == 1


def test_stch_does_not_overflow():
    for mu in (1e-8, 1e8):
        method = built(balancing.STCH(mu=mu, warmup_epochs=1))
        method.total(LOSSES, ALL)
        method.on_epoch_end(0, {})
        assert np.isfinite(gradient(method, LOSSES * 5)[0])


def test_famo_follows_its_formula():
    method = built(balancing.FAMO(weight_decay=0.0))
    total, slope = gradient(method)
    shares = np.full(3, 1 / 3)
    scale = (shares / LOSSES.numpy()).sum()
    assert total == pytest.approx((shares * np.log(LOSSES)).sum() / scale, abs=1e-6)
    np.testing.assert_allclose(slope, shares / LOSSES.numpy() / scale, rtol=1e-5)
    after = LOSSES * tf.constant([0.5, 1.0, 1.0])
    method.after_step(after, ALL)
    # Adam's first step is the sign of the gradient: the first task fell fastest.
    np.testing.assert_allclose(method.logits, [-0.025, 0.025, 0.025], rtol=1e-3)


def test_auto_lambda_descends_on_the_slopes_that_are_known():
    method = built(balancing.AutoLambda(initial=0.1, learning_rate=0.04))
    assert gradient(method)[0] == pytest.approx(0.35)
    # Adam's first step is the sign of the slope, of each weight by itself.
    method.learn(tf.constant([2.0, -0.5, 1.0]), tf.constant([True, True, False]))
    np.testing.assert_allclose(method.task_weights, [0.06, 0.14, 0.1], rtol=1e-4)
    method.learn(tf.constant([2.0, np.nan, 1.0]), ALL)  # an overflow: no step
    np.testing.assert_allclose(method.task_weights, [0.06, 0.14, 0.1], rtol=1e-4)
    method.learn(tf.constant([0.0, 0.0, 3.0]), tf.constant([False, False, True]))
    np.testing.assert_allclose(method.task_weights, [0.06, 0.14, 0.06], rtol=1e-4)
    for _ in range(3):
        method.learn(tf.constant([2.0, 0.0, 0.0]), ALL)
    assert method.task_weights.numpy()[0] == 0.0  # not below


def test_rlw_draws_new_weights_that_sum_to_1():
    method = built(balancing.RLW(seed=1))
    one, other = (method.weigh(LOSSES, ALL).numpy() for _ in range(2))
    assert np.any(one != other)
    np.testing.assert_allclose([one.sum(), other.sum()], 1.0, rtol=1e-6)
    again = built(balancing.RLW(seed=1))
    np.testing.assert_array_equal(again.weigh(LOSSES, ALL), one)


def test_dtp_and_amtl_favour_what_is_done_badly():
    for method in (balancing.DTP(), balancing.AMTL()):
        weights = built(method).weigh(LOSSES, ALL).numpy()
        assert np.argsort(weights).tolist() == [0, 2, 1]


def test_dtp_reads_the_logs():
    method = built(balancing.DTP(logs=["a", "b", "c"], momentum=0.5))
    method.on_epoch_end(0, {"a": 0.5, "b": 0.9, "c": 1.0})
    expected = -(1 - np.array([0.5, 0.9, 1.0])) * np.log([0.5, 0.9, 1.0])
    np.testing.assert_allclose(method.weigh(LOSSES, ALL), expected, atol=1e-6)
    with pytest.raises(TaskError, match="which the logs don't have"):
        method.on_epoch_end(1, {"a": 0.5})


def test_fixed_weights_can_be_changed():
    method = built(balancing.Fixed([1.0, 2.0, 3.0]))
    method.task_weights.assign([0.0, 1.0, 0.0])
    assert gradient(method)[0] == pytest.approx(2.0)
    assert repr(balancing.Fixed()) == "Fixed()"
    assert repr(method) == "Fixed([1.0, 2.0, 3.0])"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (balancing.Fixed([1.0]), "one weight a task"),
        (balancing.FAMO(minimums=[0.0]), "one number a task"),
        (balancing.AMTL(targets=[0.5]), "one number a task"),
        (balancing.DTP(logs=["a"]), "name one log a task"),
    ],
)
def test_one_number_a_task(method, message):
    with pytest.raises(TaskError, match=message):
        method.build(3)


def test_normalisations():
    present = tf.constant([True, True, False])
    losses = tf.constant([0.5, 2.0, 0.0])
    log = balancing.normalization.Log(epsilon=0.0)
    found, factors = log.normalize(losses, present)
    np.testing.assert_allclose(found[:2], np.log([0.5, 2.0]))
    np.testing.assert_allclose(factors[:2], [2.0, 0.5])

    first = built(balancing.normalization.FirstStep())
    first.normalize(losses, present)
    found, factors = first.normalize(tf.constant([0.25, 3.0, 7.0]), ALL)
    np.testing.assert_allclose(found, [0.5, 1.5, 1.0])
    np.testing.assert_allclose(factors, [2.0, 0.5, 1 / 7.0])

    average = built(balancing.normalization.RunningAverage(momentum=0.5))
    average.normalize(losses, present)
    found, factors = average.normalize(tf.constant([1.5, 2.0, -4.0]), ALL)
    np.testing.assert_allclose(found, [1.5, 1.0, -1.0])
    np.testing.assert_allclose(factors, [1.0, 0.5, 0.25])


def test_methods_keep_what_they_learn_out_of_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    method = built(balancing.Uncertainty())
    assert method.log_variances.dtype == "float32"
    assert method.total(LOSSES, ALL).dtype == "float32"
