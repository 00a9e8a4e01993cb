import keras
import numpy as np
import pytest
from examples import ROWS, TASKS, labels

from mtlzoo import tasks
from mtlzoo._losses import task_loss
from mtlzoo._registry import TASKS as REGISTRY
from mtlzoo.errors import TaskError, UnknownNameError


def predictions_for(task, rows=ROWS, seed=1):
    shape = [size or 12 for size in task.prediction_shape]
    if isinstance(task, tasks.Dense):
        shape[:2] = (16, 16)
    logits = np.random.default_rng(seed).normal(size=(rows, *shape)).astype("float32")
    if task.has_classes:
        return keras.ops.softmax(logits, axis=-1)
    if isinstance(task, tasks.Count):
        return keras.ops.exp(logits)
    if isinstance(task, tasks.Regression):
        return logits * 2 + 5
    return keras.ops.sigmoid(logits)


def test_every_kind_has_an_example():
    assert sorted(TASKS) == REGISTRY.list()


def test_unknown_kind():
    with pytest.raises(UnknownNameError, match=r"no task kind 'binry'.*'binary'"):
        REGISTRY.get("binry")


@pytest.mark.parametrize("kind", TASKS)
class TestEveryKind:
    def test_is_what_the_registry_says(self, kind):
        assert type(TASKS[kind]("a")) is REGISTRY.get(kind)

    def test_config_round_trip(self, kind):
        task = TASKS[kind]("a")
        config = keras.saving.serialize_keras_object(task)
        again = keras.saving.deserialize_keras_object(config)
        assert again == task
        assert repr(again) == repr(task)
        assert repr(task).startswith(f"{type(task).__name__}(name='a'")

    def test_loss_is_the_mean_over_labelled_rows(self, kind):
        """One of four rows labelled gives the loss of that row, and its gradient."""
        task = TASKS[kind]("a")
        y = labels(task, 4).astype("float32")
        predicted = predictions_for(task, 4)
        missing = y.copy()
        missing[1:] = np.nan
        partly = task_loss(task, missing, predicted, None)
        alone = task_loss(task, y[:1], predicted[:1], None)
        assert float(partly.loss) == pytest.approx(float(alone.loss), rel=1e-6)
        assert float(alone.loss) > 0

    def test_no_label_gives_zero_not_nan(self, kind):
        import tensorflow as tf

        task = TASKS[kind]("a")
        y = np.full_like(labels(task, 4), np.nan, dtype="float32")
        predicted = tf.Variable(predictions_for(task, 4))
        with tf.GradientTape() as tape:
            one = task_loss(task, y, predicted + 0.0, None)
        assert float(one.loss) == 0.0
        assert not bool(one.present)
        np.testing.assert_array_equal(tape.gradient(one.loss, predicted), 0.0)

    def test_sample_weights_choose_rows(self, kind):
        task = TASKS[kind]("a")
        y, predicted = labels(task, 4), predictions_for(task, 4)
        chosen = task_loss(task, y, predicted, np.array([0.0, 3.0, 0.0, 0.0]))
        alone = task_loss(task, y[1:2], predicted[1:2], None)
        assert float(chosen.loss) == pytest.approx(float(alone.loss), rel=1e-5)

    def test_labels_in_range_pass_and_others_dont(self, kind):
        task = TASKS[kind]("a")
        y = labels(task).astype("float32")
        assert not np.any(task.out_of_range(y))
        assert np.any(task.out_of_range(np.full_like(y, np.inf)))

    def test_metrics_count_labelled_rows_only(self, kind):
        from mtlzoo._meters import TaskMeter

        task = TASKS[kind]("a")
        y = labels(task, 6).astype("float32")
        predicted = predictions_for(task, 6)
        missing = np.where(np.arange(6).reshape(6, *[1] * (y.ndim - 1)) < 3, y, np.nan)

        def result(values, outputs):
            meter = TaskMeter(task)
            one = task_loss(task, values, outputs, None)
            meter.update_loss(one.mean, one.weight)
            meter.update_state(
                one.labels, outputs, one.label_present, one.label_weights
            )
            return {key: float(value) for key, value in meter.result().items()}

        partly = result(missing, predicted)
        assert partly == pytest.approx(result(y[:3], predicted[:3]), rel=1e-5)
        assert all(np.isfinite(list(partly.values())))


@pytest.mark.parametrize(
    ("task", "reference"),
    [
        (tasks.Binary("a"), keras.losses.BinaryCrossentropy()),
        (tasks.Multiclass("a", 3), keras.losses.SparseCategoricalCrossentropy()),
        (tasks.Regression("a"), keras.losses.MeanSquaredError()),
        (tasks.Count("a"), keras.losses.Poisson()),
        (tasks.MultiLabel("a", 3), keras.losses.BinaryCrossentropy()),
        (
            tasks.SequenceTagging("a", 3),
            keras.losses.SparseCategoricalCrossentropy(),
        ),
    ],
)
def test_fully_labelled_loss_is_that_of_keras(task, reference):
    y = labels(task)
    predicted = predictions_for(task)
    expected = reference(y.reshape(ROWS, -1) if y.ndim == 1 else y, predicted)
    assert float(task_loss(task, y, predicted, None).loss) == pytest.approx(
        float(expected), rel=1e-5
    )


def test_missing_elements_of_one_row_count_by_themselves():
    task = tasks.MultiLabel("a", 3)
    y = np.array([[1.0, np.nan, 0.0]])
    predicted = np.array([[0.9, 0.5, 0.2]], "float32")
    expected = -(np.log(0.9) + np.log(0.8)) / 2
    assert float(task_loss(task, y, predicted, None).loss) == pytest.approx(
        expected, rel=1e-4
    )


def test_own_loss_sees_whole_rows():
    task = tasks.Regression("a", shape=(2,), loss=keras.losses.CosineSimilarity())
    y = np.array([[1.0, 0.0], [0.0, np.nan]], "float32")
    predicted = np.array([[2.0, 0.0], [1.0, 1.0]], "float32")
    assert float(task_loss(task, y, predicted, None).loss) == pytest.approx(-1.0)


def test_class_weight_is_a_weighted_mean():
    task = tasks.Binary("a", class_weight={1: 3.0})
    predicted = np.array([[0.8], [0.4]], "float32")
    losses = -np.log([0.8, 0.6])
    expected = (3 * losses[0] + losses[1]) / 4
    one = task_loss(task, np.array([1.0, 0.0]), predicted, None)
    assert float(one.loss) == pytest.approx(expected, rel=1e-4)


def test_class_weight_survives_json():
    import json

    task = tasks.Multiclass("a", 3, class_weight={2: 4.0})
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(task)))
    assert keras.saving.deserialize_keras_object(config).class_weight == {2: 4.0}


def test_minus_one_is_missing_only_where_declared():
    y = np.array([-1, 1])
    assert np.any(tasks.Binary("a").out_of_range(y))
    declared = tasks.Binary("a", missing=-1)
    np.testing.assert_array_equal(declared.labelled(y.astype("float32")), [False, True])


def test_regression_trains_on_the_normalised_scale_and_predicts_in_units():
    task = tasks.Regression.from_values("a", np.array([10.0, 20.0, np.nan, 30.0]))
    assert task.mean == 20.0
    assert task.variance == pytest.approx(200 / 3)
    logits = keras.KerasTensor((None, 1))
    assert task.activate(logits, "a").shape == (None, 1)
    one = task_loss(task, np.array([20.0]), np.array([[30.0]], "float32"), None)
    assert float(one.loss) == pytest.approx(100 / (200 / 3), rel=1e-5)


def test_ordinal_is_the_proportional_odds_model():
    layer = tasks._ordinal.OrdinalProbabilities(4)
    score = np.array([[-2.0], [0.3], [5.0]], "float32")
    probabilities = keras.ops.convert_to_numpy(layer(score))
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, atol=1e-6)
    # Thresholds start one apart: -1, 0, 1.
    at_most = 1 / (1 + np.exp(-(np.array([-1.0, 0.0, 1.0]) - score)))
    np.testing.assert_allclose(np.cumsum(probabilities, -1)[:, :3], at_most, atol=1e-4)
    layer.gaps.assign([-30.0, -30.0])
    assert (keras.ops.convert_to_numpy(layer(score)) >= 0).all()


def test_ordinal_of_two_levels_is_logistic():
    layer = tasks._ordinal.OrdinalProbabilities(2)
    probabilities = keras.ops.convert_to_numpy(layer(np.array([[0.7]], "float32")))
    assert probabilities[0, 1] == pytest.approx(1 / (1 + np.exp(-0.7)), abs=1e-5)


def test_count_starts_at_the_mean():
    task = tasks.Count("a", mean=4.0)
    inputs = keras.Input((1,))
    model = keras.Model(inputs, task.activate(inputs, "a"))
    assert float(model(np.zeros((1, 1)))[0, 0]) == pytest.approx(4.0)


@pytest.mark.parametrize("kind", ["multiclass", "ordinal", "sequence_tagging", "dense"])
@pytest.mark.parametrize("classes", [np.int64(3), np.array(["a", "b"]), [1, 2, 3]])
def test_classes_of_any_type_are_kept_as_plain_ones(kind, classes):
    task = REGISTRY.get(kind)("a", classes)
    assert type(task).from_config(task.get_config()) == task
    assert task.num_classes == (2 if len(np.shape(classes)) and "a" in classes else 3)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: tasks.Binary("2nd"), "name of a task must start with a letter"),
        (lambda: tasks.Binary("a b"), "Received: 'a b'"),
        (lambda: tasks.Binary("a", loss_weight=-1.0), "`loss_weight` of task 'a'"),
        (lambda: tasks.Multiclass("a", 1), "at least 2. Received: 1"),
        (lambda: tasks.Multiclass("a", ["x", "x"]), "names of task 'a' must differ"),
        (
            lambda: tasks.Multiclass("a", 3, class_weight={3: 1.0}),
            "names class 3, but there are 3 classes",
        ),
        (
            lambda: tasks.Multiclass("a", 3, class_weight={-1: 1.0}),
            "names class -1, but there are 3 classes, from 0 to 2",
        ),
        (
            lambda: tasks.Multiclass("a", ["x", "y"], class_weight={"x": 1.0}),
            "dict of weights of at least 0 by class index",
        ),
        (
            lambda: tasks.Binary("a", class_weight={1: -1.0}),
            "at least 0 by class index",
        ),
        (lambda: tasks.Binary("a", class_weight="balanced"), "Received: 'balanced'"),
        (lambda: tasks.Binary("a", loss="crossentropy"), "`loss` of task 'a' must be"),
        (lambda: tasks.Multiclass("a", 3.0), "or a list of their names. Received: 3.0"),
        (lambda: tasks.Multiclass("a", "xyz"), "list of their names. Received: 'xyz'"),
        (
            lambda: tasks.Regression.from_values("a", [np.nan, np.nan]),
            "Labels of Regression 'a' are all missing",
        ),
        (
            lambda: tasks.Regression.from_values("a", [1.0, np.inf]),
            "Labels of Regression 'a' must be finite",
        ),
        (lambda: tasks.Regression("a", shape=(2, 2)), "must be \\(\\) or \\(n,\\)"),
        (lambda: tasks.Regression("a", variance=0.0), "positive variance"),
        (lambda: tasks.Dense("a"), "either `classes` or `channels`"),
        (
            lambda: tasks.Dense("a", channels=1, class_weight={0: 1.0}),
            "needs classes, which Dense 'a' doesn't have",
        ),
        (lambda: tasks.check_tasks([]), "At least 1 task is needed"),
        (lambda: tasks.check_tasks(["a"]), "must hold tasks"),
        (
            lambda: tasks.check_tasks([tasks.Binary("a"), tasks.Binary("a")]),
            "Used more than once: a",
        ),
    ],
)
def test_refuses(make, match):
    with pytest.raises(TaskError, match=match):
        make()
