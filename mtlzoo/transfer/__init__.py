"""Transfer: what one data set or model has to give to another.

A model that works on one domain and is meant for another learns to see both alike while
it trains: `adapt`, with `MMD`, `CORAL` or `DANN`. `reestimate_batch_norm` needs no
training at all.
"""

from mtlzoo.transfer._adapt import Alignment, adapt
from mtlzoo.transfer._batch_norm import reestimate_batch_norm
from mtlzoo.transfer._coral import CORAL
from mtlzoo.transfer._dann import DANN
from mtlzoo.transfer._mmd import MMD

__all__ = [
    "adapt",
    "Alignment",
    "CORAL",
    "DANN",
    "MMD",
    "reestimate_batch_norm",
]
