"""Balancing: how much each task counts in an update.

Training several tasks in one model is optimising several losses with one set of shared
weights. Losses differ in scale, tasks in difficulty, and gradients may conflict: a step
that helps one task hurts another. A *weighting* combines the losses into one, an
*aggregation* combines the gradients of what is shared into one update.

```python
from mtlzoo import balancing

model.compile("adam", balancing="uncertainty")
model.compile("adam", balancing=balancing.PCGrad(gradients="representation"))
model.compile("adam", balancing=balancing.CAGrad(normalization="log", heads="imtl_l"))
```

`balancing` goes to `mtlzoo.build`, `MultiTaskModel.from_functional` or `compile`, as a
name of `mtlzoo.list_balancing()` or as an object. What a method learns or remembers is
saved with the model.

The mathematics can be used by itself, in a training loop of your own: a weighting maps
losses to weights, an aggregator maps the Gramian or the Jacobian of the tasks'
gradients to weights or an update.
"""

from mtlzoo.balancing import normalization
from mtlzoo.balancing._aggregator import Aggregator, GramianAggregator
from mtlzoo.balancing._base import Balancing, Weighting
from mtlzoo.balancing._get import get
from mtlzoo.balancing.aggregation import (
    CRMOGM,
    IMTLG,
    MGDA,
    AlignedMTL,
    CAGrad,
    ConFIG,
    DualBalancing,
    DualProj,
    ExcessMTL,
    FairGrad,
    GradDrop,
    GradNorm,
    GradVac,
    Mean,
    MoCo,
    MoDo,
    NashMTL,
    PCGrad,
    SDMGrad,
    Sum,
    UPGrad,
)
from mtlzoo.balancing.weighting import (
    AMTL,
    DTP,
    DWA,
    FAMO,
    GLS,
    IMTLL,
    RLW,
    STCH,
    AutoLambda,
    Equal,
    Fixed,
    ScaleInvariant,
    Uncertainty,
)

__all__ = [
    "AMTL",
    "CRMOGM",
    "DualBalancing",
    "DTP",
    "DWA",
    "FAMO",
    "GLS",
    "IMTLG",
    "IMTLL",
    "MGDA",
    "RLW",
    "STCH",
    "Aggregator",
    "AlignedMTL",
    "AutoLambda",
    "Balancing",
    "CAGrad",
    "ConFIG",
    "DualProj",
    "Equal",
    "ExcessMTL",
    "FairGrad",
    "Fixed",
    "GradDrop",
    "GradNorm",
    "GradVac",
    "GramianAggregator",
    "Mean",
    "MoCo",
    "MoDo",
    "NashMTL",
    "PCGrad",
    "SDMGrad",
    "ScaleInvariant",
    "Sum",
    "UPGrad",
    "Uncertainty",
    "Weighting",
    "get",
    "normalization",
]
