"""Sharing: how tasks share what they learn, one published method a file.

The methods differ in what the representation of a task is made of:

| | methods |
|---|---|
| the same features for all, or none | `shared_bottom`, `single_task` |
| mixtures of experts | `omoe`, `mmoe`, `ml_mmoe`, `cgc`, `ple`, `dselect_k`, `adatt` |
| sub-networks with learned connections | `snr_trans`, `snr_aver` |
| a network a task, mixed | `cross_stitch`, `sluice`, `nddr` |
| a network a task, tied | `soft_sharing`, `trace_norm`, `shared_private` |
| one trunk with additions a task | `adapters`, `film`, `task_lora`, `mtan` |
| tasks that read each other | `cascade`, `dbmtl`, `hierarchical`, `aitm` |
| tasks that look at each other | `task_attention`, `pad_net`, `shared_attention` |
| clicks and what follows them | `esmm`, `escm2_ips`, `escm2_dr` |

Each is a recipe that `mtlzoo.build` carries out over any trunk that suits it; `mtlzoo
list` shows paper, inputs and tasks of each. `sharing_report` shows what a model of any
of them has made of its freedom.
"""

from mtlzoo.sharing._adapters import Adapters
from mtlzoo.sharing._adatt import AdaTT
from mtlzoo.sharing._aitm import AITM
from mtlzoo.sharing._base import Outputs, Sharing, mark_representation
from mtlzoo.sharing._cascade import Cascade
from mtlzoo.sharing._cgc import CGC
from mtlzoo.sharing._cross_stitch import CrossStitch
from mtlzoo.sharing._dbmtl import DBMTL
from mtlzoo.sharing._dselect_k import DSelectK
from mtlzoo.sharing._escm2 import ESCM2DR, ESCM2IPS
from mtlzoo.sharing._esmm import ESMM
from mtlzoo.sharing._film import FiLM
from mtlzoo.sharing._hierarchical import Hierarchical
from mtlzoo.sharing._ml_mmoe import MLMMoE
from mtlzoo.sharing._mmoe import MMoE
from mtlzoo.sharing._mtan import MTAN
from mtlzoo.sharing._nddr import NDDR
from mtlzoo.sharing._omoe import OMoE
from mtlzoo.sharing._pad_net import PADNet
from mtlzoo.sharing._ple import PLE
from mtlzoo.sharing._report import SharingTable, sharing_report
from mtlzoo.sharing._shared_attention import SharedAttention
from mtlzoo.sharing._shared_bottom import SharedBottom
from mtlzoo.sharing._shared_private import SharedPrivate
from mtlzoo.sharing._single_task import SingleTask
from mtlzoo.sharing._sluice import Sluice
from mtlzoo.sharing._snr_aver import SNRAver
from mtlzoo.sharing._snr_trans import SNRTrans
from mtlzoo.sharing._soft_sharing import SoftSharing
from mtlzoo.sharing._task_attention import TaskAttention
from mtlzoo.sharing._task_lora import TaskLoRA
from mtlzoo.sharing._trace_norm import TraceNormSharing

__all__ = [
    "Adapters",
    "AdaTT",
    "AITM",
    "Cascade",
    "CGC",
    "CrossStitch",
    "DBMTL",
    "DSelectK",
    "ESCM2DR",
    "ESCM2IPS",
    "ESMM",
    "FiLM",
    "Hierarchical",
    "mark_representation",
    "MLMMoE",
    "MMoE",
    "MTAN",
    "NDDR",
    "OMoE",
    "Outputs",
    "PADNet",
    "PLE",
    "SharedAttention",
    "SharedBottom",
    "SharedPrivate",
    "Sharing",
    "sharing_report",
    "SharingTable",
    "SingleTask",
    "Sluice",
    "SNRAver",
    "SNRTrans",
    "SoftSharing",
    "TaskAttention",
    "TaskLoRA",
    "TraceNormSharing",
]
