import numpy as np
import pytest
from by_hand import NAMES, dense, fill, mlp, predict, represent, rows, tiny

from mtlzoo import heads, tasks, trunks
from mtlzoo.errors import DataError, OptionError
from mtlzoo.sharing._labels import JoinPredictions

X = rows()


def linear(x):
    return x


def test_hierarchical_by_hand():
    model = fill(
        tiny(
            "hierarchical",
            ["word", "topic", "tone"],
            lambda name: tasks.Multiclass(name, 3),
            trunk=mlp(4, 5),
            depth={"word": 1, "topic": 2, "tone": 1},
            label_units=2,
        )
    )
    low = dense(model, "trunk.dense_1", X)
    found, predicted = represent(model, X), predict(model, X)
    np.testing.assert_allclose(found["word"], low, atol=1e-5)
    np.testing.assert_allclose(found["tone"], low, atol=1e-5)
    labels = [
        predicted[task] @ model.get_layer(f"sharing.label.{task}").get_weights()[0]
        for task in ("word", "tone")
    ]
    joined = np.concatenate([low, *labels], axis=-1)
    merged = dense(model, "sharing.merge_1", joined, linear)
    expected = dense(model, "trunk.dense_2", merged)
    np.testing.assert_allclose(found["topic"], expected, atol=1e-5)


def test_without_labels_and_all_tasks_on_top_it_is_shared_bottom():
    options = {"trunk": mlp(4, 5)}
    model = fill(
        tiny("hierarchical", label_units=0, depth={"a": 2, "ab": 2}, **options)
    )
    bottom = tiny("shared_bottom", **options)
    bottom.set_weights(model.get_weights())
    for task in NAMES:
        np.testing.assert_allclose(
            predict(model, X)[task], predict(bottom, X)[task], atol=1e-6
        )


def test_by_default_tasks_are_spread_and_the_last_reads_the_last_stage():
    model = tiny("hierarchical", ["a", "b", "c"], trunk=mlp(4, 5, 6))
    shapes = {task: value.shape for task, value in represent(model, X).items()}
    assert shapes == {"a": (5, 4), "b": (5, 5), "c": (5, 6)}


def test_a_label_of_the_whole_row_reaches_each_step_and_each_pixel():
    join = JoinPredictions()
    steps, label = np.zeros((2, 3, 4)), np.array([[1.0], [2.0]])
    joined = join([steps, label]).numpy()
    assert joined.shape == (2, 3, 5)
    np.testing.assert_array_equal(joined[1, :, 4], [2.0, 2.0, 2.0])
    pixels = join([np.zeros((2, 3, 3, 4)), label]).numpy()
    np.testing.assert_array_equal(pixels[1, ..., 4], np.full((3, 3), 2.0))


def test_a_label_of_each_pixel_is_brought_to_the_size_of_the_map():
    image = np.repeat(np.repeat(np.array([[1.0, 3.0], [5.0, 7.0]]), 2, 0), 2, 1)
    joined = JoinPredictions()([np.zeros((1, 2, 2, 1)), image[None, ..., None]])
    assert joined.shape == (1, 2, 2, 2)
    assert np.all(np.diff(joined[0, :, :, 1].numpy().ravel()) > 0)


def test_tasks_may_read_tensors_of_different_kinds():
    model = tiny(
        "hierarchical",
        inputs={"text": (6, 4)},
        tasks=[tasks.SequenceTagging("word", 3), tasks.Binary("topic")],
        trunk=trunks.Transformer(2, width=4, num_heads=2, feedforward=4),
        head=heads.Tower(()),
    )
    outputs = predict(model, np.ones((2, 6, 4), "float32"))
    assert outputs["word"].shape == (2, 6, 3)
    assert outputs["topic"].shape == (2, 1)


def test_what_is_refused():
    with pytest.raises(OptionError, match=r"a stage from 1 to 2. Tasks: a, ab"):
        tiny("hierarchical", trunk=mlp(4, 5), depth={"a": 1, "ab": 3})
    with pytest.raises(OptionError, match="`depth` of the architecture 'hierarchical'"):
        tiny("hierarchical", trunk=mlp(4, 5), depth={"a": 1})
    with pytest.raises(DataError, match="needs a trunk of at least one stage"):
        tiny("hierarchical", trunk=trunks.MLP(()))
