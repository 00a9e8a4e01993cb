"""Jacobians to test aggregators on, made as the tests of TorchJD make theirs."""

import numpy as np

BASE = np.array([[-4.0, 1, 1], [6, 1, 1]])
THREE = np.array([[1.0, 2, 0, -1], [-2, 1, 1, 0.5], [0.5, -1, 3, 1]])
SCALED = THREE * np.array([[1.0], [10.0], [0.1]])

# Each is traced once a method, so they are few.
SIZES = (2, 4, 20, 40)


def normal(random, num_tasks, size, rank):
    """`U diag|N(0, 1)| V'` of a given rank."""
    left, _ = np.linalg.qr(random.normal(size=(num_tasks, num_tasks)))
    right, _ = np.linalg.qr(random.normal(size=(size, size)))
    values = np.abs(random.normal(size=rank))
    return (left[:, :rank] * values) @ right[:rank]


def strongly_stationary(random, num_tasks, size, rank):
    """A positive combination of the rows is 0."""
    weights = np.abs(random.normal(size=num_tasks))
    weights /= np.linalg.norm(weights)
    matrix = normal(random, num_tasks, size, rank)
    return matrix - np.outer(weights, weights @ matrix)


def not_stationary(random, num_tasks, size, rank):
    """All rows agree with one direction, so no convex combination is 0."""
    matrix = normal(random, num_tasks, size, rank)
    direction = random.normal(size=size)
    direction /= np.linalg.norm(direction)
    outside = matrix - np.outer(matrix @ direction, direction)
    along = np.abs(random.normal(size=num_tasks)) + 0.2
    return outside + np.outer(along, direction)


def nearly_dependent(random, num_tasks, size, rank):
    """Rows that differ by a hundred-thousandth."""
    row = random.normal(size=(1, size))
    return row + 1e-5 * random.normal(size=(num_tasks, size))


def many(count, seed=0):
    """Yield `count` matrices of 2 to 40 tasks, rank-deficient ones among them."""
    random = np.random.default_rng(seed)
    kinds = (normal, strongly_stationary, not_stationary, normal, not_stationary)
    for index in range(count):
        num_tasks = int(random.choice(SIZES))
        size = int(random.choice([1, 2, 4, 11, 30, 60]))
        rank = int(random.integers(1, min(num_tasks, size) + 1))
        kind = kinds[index % len(kinds)]
        yield kind(random, num_tasks, size, rank)


def typical(seed=0):
    """Zeros and one matrix of each kind and shape."""
    random = np.random.default_rng(seed)
    matrices = [np.zeros(shape) for shape in ((2, 1), (4, 3), (20, 11))]
    for shape in ((4, 3, 1), (4, 3, 2), (4, 3, 3), (4, 11, 2), (4, 11, 4)):
        matrices.append(normal(random, *shape))
    for shape in ((20, 10, 10), (20, 10, 5), (20, 10, 1), (20, 100, 1), (20, 100, 19)):
        for kind in (normal, strongly_stationary, not_stationary):
            matrices.append(kind(random, *shape))
    matrices.append(nearly_dependent(random, 4, 30, 4))
    return matrices


def scaled(seed=0):
    """Matrices that are tiny or huge, and matrices with rows that are."""
    random = np.random.default_rng(seed)
    matrices = []
    for scale in (0.0, 1e-10, 1e3, 1e5, 1e10, 1e15):
        matrix = normal(random, 4, 11, 4)
        matrices.append(scale * matrix)
        matrices.append(matrix * np.array([[1.0], [scale], [1.0], [1.0]]))
    mixed = np.array([[1e-10], [1e15], [1.0], [0.0]])
    matrices.append(normal(random, 4, 11, 4) * mixed)
    return matrices
