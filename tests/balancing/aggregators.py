"""Run an aggregator on a matrix, in a graph that is traced once a number of tasks."""

import functools

import numpy as np
import tensorflow as tf

from mtlzoo import balancing


class Runner:
    """Aggregates float64 matrices with one configuration of one method."""

    def __init__(self, aggregator):
        self._config = aggregator.get_config()
        self._type = type(aggregator)

    @functools.cache  # noqa: B019, lives as long as the test
    def _function(self, num_tasks):
        aggregator = self._type.from_config(self._config)
        aggregator.build(num_tasks)
        return tf.function(aggregator.task_weights, autograph=False)

    def weights(self, matrix, present=None):
        num_tasks = len(matrix)
        present = np.ones(num_tasks, bool) if present is None else np.array(present)
        gramian = tf.constant(matrix @ matrix.T)
        losses = tf.ones([num_tasks], "float64")
        return self._function(num_tasks)(gramian, losses, tf.constant(present)).numpy()

    def update(self, matrix, present=None):
        return self.weights(matrix, present) @ matrix


# Of each method that works on the Gramian, the configurations to test.
GRAMIAN = {
    repr(one): one
    for one in (
        balancing.AlignedMTL(),
        balancing.AlignedMTL(scale="median"),
        balancing.AlignedMTL(scale="rmse"),
        balancing.CAGrad(),
        balancing.CAGrad(c=1.0),
        balancing.CAGrad(c=2.0),
        balancing.ConFIG(),
        balancing.CRMOGM("mgda", momentum=0.0),
        balancing.DualProj(),
        balancing.FairGrad(),
        balancing.FairGrad(alpha=2.0),
        balancing.GradVac(seed=1),
        balancing.IMTLG(),
        balancing.Mean(),
        balancing.MGDA(),
        balancing.NashMTL(),
        balancing.PCGrad(seed=1),
        balancing.Sum(),
        balancing.UPGrad(),
    )
}

NON_CONFLICTING = (
    "CAGrad(c=1.0)",
    "CAGrad(c=2.0)",
    "DualProj()",
    "FairGrad()",
    "FairGrad(alpha=2.0)",
    "MGDA()",
    "NashMTL()",
    "UPGrad()",
)

PERMUTATION_INVARIANT = (
    "AlignedMTL()",
    "AlignedMTL(scale='median')",
    "AlignedMTL(scale='rmse')",
    "CAGrad()",
    "ConFIG()",
    "CRMOGM(aggregator=MGDA(), momentum=0.0)",
    "DualProj()",
    "FairGrad()",
    "FairGrad(alpha=2.0)",
    "IMTLG()",
    "Mean()",
    "MGDA()",
    "NashMTL()",
    "Sum()",
    "UPGrad()",
)

LINEAR_UNDER_SCALING = ("Mean()", "Sum()", "UPGrad()", "ConFIG()")

runners = {name: Runner(one) for name, one in GRAMIAN.items()}
