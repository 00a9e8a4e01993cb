import numpy as np
from by_hand import (
    NAMES,
    dense,
    fill,
    mlp,
    predict,
    represent,
    rows,
    sigmoid,
    tiny,
)

X = rows()
TRUNK = {"trunk": mlp(4, 6)}


def through(model, trunk):
    hidden = dense(model, f"{trunk}.dense_1", X)
    return dense(model, f"{trunk}.dense_2", hidden)


def test_shared_bottom_by_hand():
    model = fill(tiny("shared_bottom", **TRUNK))
    hidden = through(model, "trunk")
    found, outputs = represent(model, X), predict(model, X)
    for task in NAMES:
        np.testing.assert_allclose(found[task], hidden, atol=1e-5)
        rate = dense(model, f"heads.{task}.logits", hidden, sigmoid)
        np.testing.assert_allclose(outputs[task], rate, atol=1e-5)


def test_single_task_by_hand():
    model = fill(tiny("single_task", **TRUNK))
    for task, found in represent(model, X).items():
        np.testing.assert_allclose(found, through(model, f"trunk.{task}"), atol=1e-5)


def test_networks_of_equal_weights_are_shared_bottom():
    alone, shared = fill(tiny("single_task", **TRUNK)), tiny("shared_bottom", **TRUNK)
    for index in (1, 2):
        weights = alone.get_layer(f"trunk.a.dense_{index}").get_weights()
        alone.get_layer(f"trunk.ab.dense_{index}").set_weights(weights)
        shared.get_layer(f"trunk.dense_{index}").set_weights(weights)
    for task in NAMES:
        name = f"heads.{task}.logits"
        shared.get_layer(name).set_weights(alone.get_layer(name).get_weights())
        np.testing.assert_allclose(
            predict(alone, X)[task], predict(shared, X)[task], atol=1e-6
        )
