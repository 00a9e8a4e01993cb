"""Sharing: how tasks share what they learn, one published method a file.

The methods differ in what a task's representation is made of: the same features for all
(`shared_bottom`), features of its own (`single_task`), or something in between. Each is
a recipe that `mtlzoo.build` carries out over any trunk; `mtlzoo list` shows them all.
"""

from mtlzoo.sharing._adatt import AdaTT
from mtlzoo.sharing._base import Outputs, Sharing, mark_representation
from mtlzoo.sharing._cgc import CGC
from mtlzoo.sharing._dselect_k import DSelectK
from mtlzoo.sharing._ml_mmoe import MLMMoE
from mtlzoo.sharing._mmoe import MMoE
from mtlzoo.sharing._omoe import OMoE
from mtlzoo.sharing._ple import PLE
from mtlzoo.sharing._shared_bottom import SharedBottom
from mtlzoo.sharing._single_task import SingleTask
from mtlzoo.sharing._snr_aver import SNRAver
from mtlzoo.sharing._snr_trans import SNRTrans

__all__ = [
    "AdaTT",
    "CGC",
    "DSelectK",
    "mark_representation",
    "MLMMoE",
    "MMoE",
    "OMoE",
    "Outputs",
    "PLE",
    "SharedBottom",
    "Sharing",
    "SingleTask",
    "SNRAver",
    "SNRTrans",
]
