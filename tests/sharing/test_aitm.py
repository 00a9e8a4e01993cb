import numpy as np
import pytest
from by_hand import (
    dense,
    fill,
    layer,
    predict,
    relu,
    represent,
    rows,
    sigmoid,
    softmax,
    tiny,
    weights,
)

from mtlzoo import tasks
from mtlzoo.errors import TaskError

X = rows()
NAMES = ("click", "apply", "approve")
SIZES = {"tower_units": (4, 2)}


def tower(model, task):
    hidden = dense(model, f"sharing.tower.{task}.dense_1", X)
    return dense(model, f"sharing.tower.{task}.dense_2", hidden)


def attend(matrices, vectors):
    query, key, value = matrices
    stacked = np.stack(vectors, axis=1)
    scores = np.sum((stacked @ query) * (stacked @ key), axis=-1) / np.sqrt(2)
    return np.sum(softmax(scores)[..., None] * (stacked @ value), axis=1)


@pytest.mark.parametrize("share", [True, False])
def test_aitm_by_hand(share):
    model = fill(tiny("aitm", NAMES, share_attention=share, **SIZES))
    found = represent(model, X)
    before = tower(model, "click")
    np.testing.assert_allclose(found["click"], before, atol=1e-5)
    for task in NAMES[1:]:
        handed = dense(model, f"sharing.transfer.{task}", before)
        name = "attention" if share else f"attention.{task}"
        before = attend(weights(model, name), [tower(model, task), handed])
        np.testing.assert_allclose(found[task], before, atol=1e-5)


def test_sharing_the_attention_saves_its_matrices():
    own, shared = (
        tiny("aitm", NAMES, share_attention=share, **SIZES) for share in (False, True)
    )
    assert own.count_params() - shared.count_params() == 3 * 2 * 2


def test_without_scores_both_vectors_count_alike():
    model = fill(tiny("aitm", NAMES[:2], **SIZES))
    zero, unit = np.zeros((2, 2)), np.eye(2)
    layer(model, "attention").set_weights([zero, zero, unit])
    handed = dense(model, "sharing.transfer.apply", tower(model, "click"))
    np.testing.assert_allclose(
        represent(model, X)["apply"], (handed + tower(model, "apply")) / 2, atol=1e-6
    )


def test_attention_that_looks_at_its_own_tower_leaves_the_towers_alone():
    model = fill(tiny("aitm", NAMES, **SIZES))
    unit = np.eye(2)
    layer(model, "attention").set_weights([1e3 * unit, 1e3 * unit, unit])
    for task in NAMES:
        one = model.get_layer(f"sharing.tower.{task}.dense_2")
        one.set_weights([one.get_weights()[0], np.ones(2)])  # towers that see something
        if task != NAMES[0]:
            one = layer(model, f"transfer.{task}")
            one.set_weights([0 * weight for weight in one.get_weights()])
    for task, found in represent(model, X).items():
        np.testing.assert_allclose(found, tower(model, task), atol=1e-6)


def test_calibrator_by_hand():
    model = fill(tiny("aitm", NAMES, calibrator=0.6, **SIZES))
    out = predict(model, X)
    model({"x": X}, training=False)
    expected = [
        0.6 * relu(out[later] - out[earlier]).mean()
        for earlier, later in (NAMES[:2], NAMES[1:])
    ]
    np.testing.assert_allclose([float(one) for one in model.losses], expected, 1e-5)
    assert sum(expected) > 0
    hidden = represent(model, X)["apply"]
    np.testing.assert_allclose(
        out["apply"], dense(model, "heads.apply.logits", hidden, sigmoid), atol=1e-6
    )


def test_without_calibrator_there_is_no_extra_loss():
    model = tiny("aitm", NAMES, calibrator=0.0, **SIZES)
    model({"x": X})
    assert model.losses == []


def test_what_is_refused():
    with pytest.raises(TaskError, match=r"takes Binary tasks.*Regression 'a'"):
        tiny("aitm", ["a", "b"], tasks.Regression)
    with pytest.raises(TaskError, match="At least 2 tasks"):
        tiny("aitm", ["a"])
