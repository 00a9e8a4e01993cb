"""A multi-task student that learns from a single-task teacher a task."""

import keras
import numpy as np
import pytest
from domains import domain, small_model
from examples import TASKS, labels

import mtlzoo
from mtlzoo import balancing, heads, tasks, trunks
from mtlzoo.errors import DataError, ModelError, OptionError, TaskError
from mtlzoo.transfer import distill
from mtlzoo.transfer._soft_targets import SoftFeatures, soft_target_loss


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def divergence(p, q):
    return (p * np.log(p / q)).sum(axis=-1).mean()


class TestSoftTargets:
    def test_classes_at_a_temperature(self):
        """What Hinton's paper has, from the logits that the models don't give."""
        random = np.random.default_rng(0)
        teacher, student = random.normal(size=(2, 5, 4)).astype("float32")
        expected = 9.0 * divergence(softmax(teacher / 3), softmax(student / 3))
        task = tasks.Multiclass("topic", 4)
        found = soft_target_loss(task, softmax(teacher), softmax(student), 3.0)
        assert float(found) == pytest.approx(expected, rel=1e-4)

    def test_a_probability_is_one_of_two_classes(self):
        teacher, student = np.array([[0.9], [0.2]]), np.array([[0.6], [0.3]])
        expected = divergence(
            np.hstack([1 - teacher, teacher]), np.hstack([1 - student, student])
        )
        for task in (tasks.Binary("click"), tasks.MultiLabel("click", 2)):
            p, q = (teacher, student)
            if isinstance(task, tasks.MultiLabel):
                p, q = teacher.T, student.T
            found = soft_target_loss(
                task, p.astype("float32"), q.astype("float32"), 1.0
            )
            assert float(found) == pytest.approx(expected, rel=1e-4)

    def test_numbers_are_compared_on_the_scale_of_the_task(self):
        task = tasks.Regression("price", mean=100.0, variance=4.0)
        teacher, student = np.float32([[104.0], [100.0]]), np.float32([[100.0], [98.0]])
        found = soft_target_loss(task, teacher, student, 5.0)
        assert float(found) == pytest.approx((2.0**2 + 1.0**2) / 2)

    @pytest.mark.parametrize("kind", TASKS)
    def test_is_least_where_the_student_agrees(self, kind):
        task = TASKS[kind]("answer")
        random = np.random.default_rng(1)
        shape = [4, *(size or 5 for size in task.prediction_shape)]
        teacher, other = random.uniform(0.1, 0.9, (2, *shape)).astype("float32")
        if task.has_classes:
            teacher, other = softmax(teacher), softmax(other)
        alike = float(soft_target_loss(task, teacher, teacher, 2.0))
        assert alike < float(soft_target_loss(task, teacher, other, 2.0))

    def test_certain_predictions_give_no_nan(self):
        task = tasks.Multiclass("topic", 3)
        one, other = np.eye(3, dtype="float32")[[0, 1]], np.eye(3)[[2, 1]]
        assert np.isfinite(soft_target_loss(task, one, other.astype("float32"), 2.0))

    def test_features_after_the_adaptor(self):
        random = np.random.default_rng(0)
        student, teacher = random.normal(size=(6, 3)), random.normal(size=(6, 2))
        layer = SoftFeatures(weight=0.5)
        inputs = [np.zeros((6, 1)), student, teacher]
        layer([one.astype("float32") for one in inputs])
        kernel = layer.get_weights()[0]
        assert kernel.shape == (3, 2)
        adapted = student @ kernel
        apart = adapted / np.linalg.norm(adapted, axis=1, keepdims=True)
        apart = apart - teacher / np.linalg.norm(teacher, axis=1, keepdims=True)
        expected = 0.5 * (apart**2).sum(axis=1).mean()
        assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-4)


def teacher_of(name, data, width=4, **options):
    return mtlzoo.build(
        "shared_bottom",
        inputs=data.inputs,
        tasks=[task for task in data.tasks if task.name == name],
        trunk=trunks.MLP((8, width)),
        head=heads.Tower(()),
        **options,
    )


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    data = domain(rows=64).batched(16)
    teachers = {}
    for name in ("click", "buy"):
        teachers[name] = teacher_of(
            name, data, width=6, optimizer=keras.optimizers.Adam(0.03)
        )
        teachers[name].fit(data.only([name]).train, epochs=6, verbose=0)
    return data, teachers


def test_the_student_agrees_with_its_teachers_without_a_label(trained, tmp_path):
    data, teachers = trained
    x, y = data.arrays("train")
    before = {name: teacher.get_weights() for name, teacher in teachers.items()}
    student = small_model(data)
    training = distill(student, teachers, representations=0.5)
    training.optimizer.learning_rate = 0.03
    missing = {name: np.full(len(one), np.nan) for name, one in y.items()}
    history = training.fit(x, missing, epochs=15, batch_size=16, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 3
    found = student.predict(x, verbose=0)
    for name, teacher in teachers.items():
        told = teacher.predict(x, verbose=0)[name]
        agree = (found[name] > 0.5) == (told > 0.5)
        assert agree.mean() > 0.9
        for old, new in zip(before[name], teacher.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        assert teacher.trainable
    # The student is a normal model, and the one that trains can be saved as well.
    assert student.count_params() == small_model(data).count_params()
    training.save(tmp_path / "training.keras")
    again = keras.saving.load_model(tmp_path / "training.keras")
    np.testing.assert_allclose(
        again.predict(x, verbose=0)["click"], found["click"], atol=1e-6
    )
    assert len(again.trainable_variables) == len(training.trainable_variables)
    assert again.fit(x, missing, verbose=0).history["loss"][0] == pytest.approx(
        history["loss"][-1], rel=0.3
    )


@pytest.mark.parametrize(
    "method", [balancing.PCGrad(gradients="representation"), "uncertainty"]
)
def test_with_labels_and_balancing(trained, method):
    data, teachers = trained
    student = small_model(data, balancing=method)
    # One task has a teacher, the other has labels alone.
    training = distill(student, {"buy": teachers["buy"]})
    teacher = training.get_layer("distill.buy.teacher")
    before = teacher.get_weights()
    history = training.fit(data.train, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert teacher.trainable_variables == []
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_teacher_normalises_as_in_inference():
    """Its batch statistics stay, whatever the student's training mode."""
    data = domain()
    inputs = keras.Input((4,), name="age")
    hidden = keras.layers.BatchNormalization()(inputs)
    output = keras.layers.Dense(1, activation="sigmoid", name="buy")(hidden)
    teacher = mtlzoo.MultiTaskModel.from_functional(
        keras.Model(inputs, {"buy": output}), [tasks.Binary("buy")]
    )
    training = distill(small_model(data), {"buy": teacher})
    layer = training.get_layer("distill.buy.teacher")
    before = [one.numpy() for one in layer.variables]
    training.fit(data.batched(16).train, verbose=0)
    for old, new in zip(before, layer.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


class TestRefusals:
    def test_options(self, trained):
        data, teachers = trained
        student = small_model(data)
        with pytest.raises(OptionError, match="`temperature` must be above 0"):
            distill(student, teachers, temperature=0.0)
        with pytest.raises(OptionError, match="and one above 0"):
            distill(student, teachers, weight=0.0)
        with pytest.raises(TaskError, match="At least one teacher"):
            distill(student, {})

    def test_tasks(self, trained):
        data, teachers = trained
        student = small_model(data)
        with pytest.raises(TaskError, match="The teacher for 'click' has no such task"):
            distill(student, {"click": teachers["buy"]})
        with pytest.raises(TaskError, match="'clack', which is no task of the student"):
            distill(student, {"clack": teachers["buy"]})
        other = mtlzoo.build(
            "shared_bottom", inputs=data.inputs, tasks=[tasks.Multiclass("buy", 3)]
        )
        with pytest.raises(TaskError, match="take task 'buy' differently"):
            distill(student, {"buy": other})

    def test_inputs(self, trained):
        data, _ = trained
        other = mtlzoo.build(
            "shared_bottom", inputs={"height": ()}, tasks=[tasks.Binary("buy")]
        )
        with pytest.raises(DataError, match="the student doesn't have: height"):
            distill(small_model(data), {"buy": other})

    def test_representations(self, trained):
        data, _ = trained
        inputs = keras.Input((4,), name="age")
        output = keras.layers.Dense(1, activation="sigmoid", name="buy")(inputs)
        plain = mtlzoo.MultiTaskModel.from_functional(
            keras.Model(inputs, {"buy": output}), [tasks.Binary("buy")]
        )
        with pytest.raises(ModelError, match="names no representation of task 'buy'"):
            distill(small_model(data), {"buy": plain}, representations=1.0)

    def test_maps_of_another_size(self):
        task = tasks.Dense("pixels", 3)

        def model(filters):
            return mtlzoo.build(
                "shared_bottom",
                inputs={"photo": (16, 16, 1)},
                tasks=[task],
                trunk=trunks.CNN(filters),
                head=heads.Tower(()),
            )

        student, teacher = model((4,)), model((4, 4))
        with pytest.raises(ModelError, match="can't be compared: that of the student"):
            distill(student, {"pixels": teacher}, representations=1.0)
        training = distill(student, {"pixels": teacher})
        x = {"photo": np.zeros((2, 16, 16, 1), "float32")}
        y = {"pixels": labels(task, rows=2)}
        assert np.isfinite(training.fit(x, y, verbose=0).history["loss"]).all()
