"""Sharing: how tasks share what they learn, one published method a file.

The methods differ in what a task's representation is made of: the same features for all
(`shared_bottom`), features of its own (`single_task`), or something in between. Each is
a recipe that `mtlzoo.build` carries out over any trunk; `mtlzoo list` shows them all.
"""

from mtlzoo.sharing._base import Outputs, Sharing, mark_representation
from mtlzoo.sharing._ml_mmoe import MLMMoE
from mtlzoo.sharing._mmoe import MMoE
from mtlzoo.sharing._omoe import OMoE
from mtlzoo.sharing._shared_bottom import SharedBottom
from mtlzoo.sharing._single_task import SingleTask

__all__ = [
    "MLMMoE",
    "MMoE",
    "OMoE",
    "Outputs",
    "SharedBottom",
    "Sharing",
    "SingleTask",
    "mark_representation",
]
