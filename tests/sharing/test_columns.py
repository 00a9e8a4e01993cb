import numpy as np
import pytest
from by_hand import (
    NAMES,
    dense,
    fill,
    layer,
    mlp,
    predict,
    relu,
    represent,
    rows,
    single_task_like,
    tiny,
    weights,
)

from mtlzoo import trunks
from mtlzoo.errors import DataError, TaskError
from mtlzoo.sharing._orthogonality import orthogonality

X = rows()
TRUNK = {"trunk": mlp(4, 6)}


def stitch(model, stage, columns):
    return {
        task: sum(
            weight * columns[other]
            for weight, other in zip(
                weights(model, f"stitch_{stage}.{task}")[0], NAMES, strict=True
            )
        )
        for task in NAMES
    }


def stage(model, index, columns):
    return {
        task: dense(model, f"trunk.{task}.dense_{index}", columns[task])
        for task in NAMES
    }


@pytest.mark.parametrize("per_channel", [False, True])
def test_cross_stitch_by_hand(per_channel):
    model = fill(tiny("cross_stitch", per_channel=per_channel, **TRUNK))
    columns = dict.fromkeys(NAMES, X)
    for index in (1, 2):
        columns = stitch(model, index, stage(model, index, columns))
    for task, found in represent(model, X).items():
        np.testing.assert_allclose(found, columns[task], atol=1e-5)


@pytest.mark.parametrize("per_channel", [False, True])
def test_rows_of_the_stitch_start_at_the_papers_values(per_channel):
    model = tiny("cross_stitch", ["a", "b", "c"], per_channel=per_channel, **TRUNK)
    (weight,) = weights(model, "stitch_1.b")
    assert weight.shape == (3, 4 if per_channel else 1)
    np.testing.assert_allclose(weight.mean(axis=-1), [0.05, 0.9, 0.05], atol=1e-6)
    np.testing.assert_allclose(weight.sum(axis=0), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("cross_stitch", {"own_weight": 1.0}, 1e-6),
        ("sluice", {"own_weight": 1.0, "last_weight": 1.0}, 1e-6),
        # What remains is the epsilon of batch normalisation.
        ("nddr", {"own_weight": 1.0}, 2e-3),
        ("soft_sharing", {}, 1e-6),
        ("trace_norm", {}, 1e-6),
    ],
)
def test_with_nothing_shared_the_networks_are_independent(name, options, tolerance):
    model = tiny(name, **options, **TRUNK)
    alone = single_task_like(model, **TRUNK)
    for task in NAMES:
        np.testing.assert_allclose(
            predict(model, X)[task], predict(alone, X)[task], atol=tolerance
        )


@pytest.mark.parametrize("name", ["cross_stitch", "nddr", "sluice"])
def test_tasks_read_each_others_networks(name):
    model = tiny(name, **TRUNK)
    before = represent(model, X)["a"]
    kernel = model.get_layer("trunk.ab.dense_1").kernel
    kernel.assign(kernel + 1.0)
    assert not np.allclose(before, represent(model, X)["a"])


def test_nddr_by_hand():
    model = fill(tiny("nddr", **TRUNK))
    columns = dict.fromkeys(NAMES, X)
    for index in (1, 2):
        joined = np.concatenate(list(stage(model, index, columns).values()), axis=-1)
        columns = {}
        for task in NAMES:
            (kernel,) = weights(model, f"fusion_{index}.{task}")
            gamma, beta, mean, variance = weights(model, f"fusion_norm_{index}.{task}")
            scaled = (joined @ kernel - mean) / np.sqrt(variance + 1e-3)
            columns[task] = relu(gamma * scaled + beta)
    for task, found in represent(model, X).items():
        np.testing.assert_allclose(found, columns[task], atol=1e-4)


def test_nddr_starts_with_its_own_channels_and_decays():
    model = tiny("nddr", own_weight=0.8, weight_decay=0.5, **TRUNK)
    (kernel,) = weights(model, "fusion_1.ab")
    np.testing.assert_allclose(kernel, [*(0.2 * np.eye(4)), *(0.8 * np.eye(4))], 1e-6)
    assert layer(model, "fusion_norm_1.a").momentum == 0.95
    squares = 2 * 4 * (0.8**2 + 0.2**2) + 2 * 6 * (0.8**2 + 0.2**2)
    assert float(sum(model.losses)) == pytest.approx(0.5 * squares, rel=1e-5)


def test_sluice_by_hand():
    model = fill(tiny("sluice", **TRUNK))
    columns, outputs = dict.fromkeys(NAMES, X), []
    for index in (1, 2):
        columns = stage(model, index, columns)
        halves = [half for one in columns.values() for half in np.split(one, 2, -1)]
        columns = {
            task: np.concatenate(
                [
                    sum(w * half for w, half in zip(row, halves, strict=True))
                    for row in weights(model, f"stitch_{index}.{task}")[0]
                ],
                axis=-1,
            )
            for task in NAMES
        }
        outputs.append(columns)
    for task, found in represent(model, X).items():
        early = outputs[0][task] @ weights(model, f"widen_1.{task}")[0]
        first, last = weights(model, f"stages.{task}")[0]
        np.testing.assert_allclose(
            found, first * early + last * outputs[1][task], atol=1e-4
        )


def test_sluice_starts_at_the_papers_values():
    model = tiny("sluice", **TRUNK)
    (weight,) = weights(model, "stitch_1.ab")
    rest = 0.1 / 3
    np.testing.assert_allclose(
        weight, [[rest, rest, 0.9, rest], [rest, rest, rest, 0.9]], atol=1e-6
    )
    np.testing.assert_allclose(weights(model, "stages.a")[0], [0.1, 0.9], atol=1e-6)


def test_orthogonality():
    one, other = np.array([[1.0, 0.0]] * 3), np.array([[0.0, 2.0]] * 3)
    assert float(orthogonality(one, one)) == pytest.approx(1.0, abs=1e-5)
    assert float(orthogonality(one, 5 * other)) == pytest.approx(1.0, abs=1e-5)
    # Shared features that say nothing of the private ones, over the rows.
    signs = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    turned = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    assert float(orthogonality(signs, turned)) == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(float(orthogonality(np.zeros((2, 2)), np.zeros((2, 2)))))


def test_what_is_refused():
    for name in ("cross_stitch", "nddr", "sluice", "soft_sharing", "trace_norm"):
        with pytest.raises(DataError, match="this trunk, MLP, has none"):
            tiny(name, trunk=trunks.MLP(()))
        with pytest.raises(TaskError, match="At least 2 tasks"):
            tiny(name, ["a"], trunk=mlp(4))
    with pytest.raises(DataError, match=r"even width. Received: width 5 at stage 1"):
        tiny("sluice", trunk=mlp(5))
