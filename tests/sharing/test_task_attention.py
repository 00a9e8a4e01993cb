import numpy as np
import pytest
from by_hand import (
    dense,
    fill,
    layer,
    represent,
    rows,
    softmax,
    tiny,
    weights,
)

from mtlzoo import tasks, trunks
from mtlzoo.errors import TaskError

X = rows()
NAMES = ("a", "ab", "c")
OPTIONS = {"units": 4, "trunk": trunks.MLP(())}


def test_task_attention_by_hand():
    model = fill(tiny("task_attention", NAMES, **OPTIONS))
    own = {task: dense(model, f"sharing.dense.{task}", X) for task in NAMES}
    for task, found in represent(model, X).items():
        query, key = weights(model, f"attention.{task}")
        (value,) = weights(model, f"values.{task}")
        scores = np.stack(
            [np.sum((own[task] @ query) * (one @ key), -1) for one in own.values()], -1
        )
        shares = softmax(scores / np.sqrt(4))
        read = sum(
            shares[:, [index]] * (one @ value) for index, one in enumerate(own.values())
        )
        np.testing.assert_allclose(found, own[task] + read, atol=1e-4)


def test_without_values_each_task_keeps_to_itself():
    model = fill(tiny("task_attention", NAMES, **OPTIONS))
    layer(model, "values.a").set_weights([np.zeros((4, 4))])
    np.testing.assert_allclose(
        represent(model, X)["a"], dense(model, "sharing.dense.a", X), atol=1e-6
    )


@pytest.mark.parametrize("name", ["task_attention", "pad_net"])
def test_tasks_that_read_different_kinds_are_refused(name):
    with pytest.raises(TaskError, match=r"must read features of one kind. Received"):
        tiny(
            name,
            inputs={"text": (5, 4)},
            tasks=[tasks.SequenceTagging("word", 3), tasks.Binary("topic")],
            trunk="rnn",
        )
