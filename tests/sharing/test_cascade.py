import numpy as np
import pytest
from by_hand import dense, fill, layer, predict, represent, rows, sigmoid, tiny

from mtlzoo import tasks, trunks
from mtlzoo.errors import TaskError

X = rows()
NAMES = ("first", "second", "third")


def test_cascade_by_hand():
    model = fill(tiny("cascade", NAMES, units=4, trunk=trunks.MLP(())))
    representations, predictions = represent(model, X), predict(model, X)
    inputs = X
    for task in NAMES:
        hidden = dense(model, f"sharing.dense.{task}", inputs)
        rate = dense(model, f"heads.{task}.logits", hidden, sigmoid)
        np.testing.assert_allclose(representations[task], hidden, atol=1e-5)
        np.testing.assert_allclose(predictions[task], rate, atol=1e-5)
        inputs = np.concatenate([X, hidden, rate], axis=-1)


def test_without_weights_on_the_task_before_tasks_are_apart():
    model = fill(tiny("cascade", NAMES, units=4, trunk=trunks.MLP(())))
    kernel, bias = layer(model, "dense.second").get_weights()
    kernel[3:] = 0
    layer(model, "dense.second").set_weights([kernel, bias])
    np.testing.assert_allclose(
        represent(model, X)["second"], np.maximum(X @ kernel[:3] + bias, 0), atol=1e-5
    )


def test_tasks_that_read_different_kinds_are_refused():
    with pytest.raises(TaskError, match="'word' reads sequence, 'topic' reads pooled"):
        tiny(
            "cascade",
            inputs={"text": (5, 4)},
            tasks=[tasks.SequenceTagging("word", 3), tasks.Binary("topic")],
            trunk="rnn",
        )
