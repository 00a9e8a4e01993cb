"""Aggregations: from the gradients of the tasks to one update of what they share.

Most need of the gradients only their Gramian, the matrix of inner products: they are
`GramianAggregator`s and work on gradients of the shared variables
(`gradients="parameters"`) or of the shared representation
(`gradients="representation"`, for about the cost of one plain step). The others have
both modes too, but for `MoCo`; what the second means for `DualBalancing`, `ExcessMTL`,
`MoDo` and `SDMGrad`, which compare batches, they say themselves.

| what it promises | methods |
|---|---|
| conflicts with no task | MGDA, NashMTL, FairGrad, UPGrad, DualProj, CAGrad(c=1) |
| does not change when a loss is rescaled | NashMTL, FairGrad(alpha=1) |
| is linear in each task's gradient | UPGrad, ConFIG, Mean, Sum |
| removes pairwise conflicts | PCGrad, GradVac |
| corrects the bias of small batches | MoCo, MoDo, SDMGrad, CRMOGM |
"""

from mtlzoo.balancing.aggregation._aligned_mtl import AlignedMTL
from mtlzoo.balancing.aggregation._cagrad import CAGrad
from mtlzoo.balancing.aggregation._config import ConFIG
from mtlzoo.balancing.aggregation._cr_mogm import CRMOGM
from mtlzoo.balancing.aggregation._db_mtl import DualBalancing
from mtlzoo.balancing.aggregation._dualproj import DualProj
from mtlzoo.balancing.aggregation._excess_mtl import ExcessMTL
from mtlzoo.balancing.aggregation._fairgrad import FairGrad
from mtlzoo.balancing.aggregation._graddrop import GradDrop
from mtlzoo.balancing.aggregation._gradnorm import GradNorm
from mtlzoo.balancing.aggregation._gradvac import GradVac
from mtlzoo.balancing.aggregation._imtl_g import IMTLG
from mtlzoo.balancing.aggregation._mean import Mean
from mtlzoo.balancing.aggregation._mgda import MGDA
from mtlzoo.balancing.aggregation._moco import MoCo
from mtlzoo.balancing.aggregation._modo import MoDo
from mtlzoo.balancing.aggregation._nash_mtl import NashMTL
from mtlzoo.balancing.aggregation._pcgrad import PCGrad
from mtlzoo.balancing.aggregation._sdmgrad import SDMGrad
from mtlzoo.balancing.aggregation._sum import Sum
from mtlzoo.balancing.aggregation._upgrad import UPGrad

__all__ = [
    "CRMOGM",
    "DualBalancing",
    "IMTLG",
    "MGDA",
    "AlignedMTL",
    "CAGrad",
    "ConFIG",
    "DualProj",
    "ExcessMTL",
    "FairGrad",
    "GradDrop",
    "GradNorm",
    "GradVac",
    "Mean",
    "MoCo",
    "MoDo",
    "NashMTL",
    "PCGrad",
    "SDMGrad",
    "Sum",
    "UPGrad",
]
