"""Values that the papers' codes and TorchJD give, on three matrices."""

import matrices
import numpy as np
import pytest
import tensorflow as tf

from mtlzoo import balancing

GOLDEN = [
    (
        balancing.UPGrad(regularization=1e-4),
        [0.2929, 1.9004, 1.9004],
        [0.0180, 0.9362, 1.5610, 0.0775],
        [-6.0362, 4.5134, 3.5873, 1.1320],
    ),
    (
        balancing.DualProj(regularization=1e-4),
        [0.5563, 1.1109, 1.1109],
        [-0.1667, 0.6667, 1.3333, 0.1667],
        [-6.3167, 3.9667, 3.4333, 1.3667],
    ),
    (
        balancing.MGDA(),
        [0, 1, 1],
        [-0.0203, 0.9787, 1.0213, -0.0691],
        [0.1021, 0.0151, 0.2836, 0.0397],
    ),
    (
        balancing.IMTLG(),
        [0.0767, 1, 1],
        [0.0583, 0.8733, 1.1267, -0.0271],
        [0.0174, 0.2613, 0.3371, -0.0081],
    ),
    (
        balancing.AlignedMTL(),
        [0.2133, 0.9673, 0.9673],
        [-0.0830, 0.7625, 1.0365, 0.0297],
        [-0.0032, 0.1146, 0.1412, -0.0021],
    ),
    (
        balancing.AlignedMTL(scale="median"),
        [0.2133, 0.9673, 0.9673],
        [-0.0900, 0.8269, 1.1241, 0.0322],
        [-0.0252, 0.8890, 1.0948, -0.0165],
    ),
    (
        balancing.AlignedMTL(scale="rmse"),
        [0.5764, 2.6142, 2.6142],
        [-0.1040, 0.9553, 1.2986, 0.0372],
        [-0.1496, 5.2773, 6.4994, -0.0981],
    ),
    (
        balancing.ConFIG(),
        [0.1588, 2.0706, 2.0706],
        [0.1778, 2.6637, 3.4364, -0.0828],
        [0.5948, 8.9131, 11.4987, -0.2770],
    ),
    (
        balancing.CAGrad(c=0.5),
        [0.1835, 1.2041, 1.2041],
        [-0.0278, 1.3556, 1.4156, -0.0956],
        [-4.8916, 4.2383, 7.3010, 1.8755],
    ),
    (
        balancing.NashMTL(max_norm=1.0),
        [0.0542, 0.7061, 0.7061],
        [-0.0550, 0.6085, 0.7915, 0.0109],
        [-0.0550, 0.6085, 0.7915, 0.0109],
    ),
    (
        balancing.FairGrad(alpha=1.0),
        [0.0766, 0.9985, 0.9985],
        [-0.0953, 1.0540, 1.3710, 0.0189],
        [-0.0953, 1.0540, 1.3710, 0.0189],
    ),
    (
        balancing.FairGrad(alpha=2.0),
        [0.0313, 0.7908, 0.7908],
        [-0.0522, 0.8210, 0.9779, -0.0156],
        [0.5264, 0.5140, 1.5620, 0.0772],
    ),
    (balancing.Mean(), [1, 1, 1], None, None),
    (balancing.Sum(), [2, 2, 2], None, None),
]

RANDOM_ORDER = (
    [[0.5848, 3.8012, 3.8012]],
    [[0.0578, 2.8044, 4.6933, 0.2356], [-0.0542, 2.8684, 4.7147, 0.2516]],
    [[-18.0172, 13.4544, 10.9933, 3.4606], [-18.1292, 13.5184, 11.0147, 3.4766]],
)

INPUTS = (matrices.BASE, matrices.THREE, matrices.SCALED)


def update(aggregator, matrix):
    aggregator = type(aggregator).from_config(aggregator.get_config())
    aggregator.build(len(matrix))
    blocks, _ = aggregator.aggregate(
        [tf.constant(matrix)],
        tf.ones([len(matrix)], "float64"),
        tf.ones([len(matrix)], "bool"),
    )
    return blocks[0].numpy()


@pytest.mark.parametrize("golden", GOLDEN, ids=[repr(golden[0]) for golden in GOLDEN])
def test_golden_values(golden):
    aggregator, *values = golden
    for matrix, expected in zip(INPUTS, values, strict=True):
        if expected is not None:
            np.testing.assert_allclose(update(aggregator, matrix), expected, atol=1e-4)


@pytest.mark.parametrize("method", [balancing.PCGrad, balancing.GradVac])
def test_golden_values_up_to_the_random_order(method):
    for matrix, allowed in zip(INPUTS, RANDOM_ORDER, strict=True):
        for seed in range(4):
            found = update(method(seed=seed), matrix)
            assert min(np.abs(found - one).max() for one in allowed) < 1e-4


def test_graddrop_keeps_one_sign_of_each_entry():
    found = update(balancing.GradDrop(seed=0), matrices.BASE)
    assert found[0] in (-4.0, 6.0)
    np.testing.assert_allclose(found[1:], [2, 2])


@pytest.mark.parametrize(
    ("aggregator", "expected"),
    [
        (balancing.AlignedMTL(), [0.5591, 0.4083]),
        (balancing.IMTLG(), [0.5923, 0.4077]),
        (balancing.PCGrad(), [2.2222, 1.5789]),
        (balancing.GradVac(), [2.2222, 1.5789]),
        (balancing.MGDA(), [0.6, 0.4]),
        (balancing.DualProj(regularization=1e-4), [0.6109, 0.5]),
        (balancing.UPGrad(regularization=1e-4), [1.1109, 0.7894]),
        (balancing.FairGrad(), [0.5915, 0.4071]),
        (balancing.CAGrad(c=0.5), [0.7041, 0.5]),
    ],
    ids=repr,
)
def test_golden_weights(aggregator, expected):
    aggregator = type(aggregator).from_config(aggregator.get_config())
    aggregator.build(2)
    weights = aggregator.task_weights(
        tf.constant(matrices.BASE @ matrices.BASE.T),
        tf.ones([2], "float64"),
        tf.constant([True, True]),
    )
    np.testing.assert_allclose(weights, expected, atol=1e-4)
