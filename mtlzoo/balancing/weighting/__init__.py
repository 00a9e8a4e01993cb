"""Weightings: from the losses of the tasks to the one loss that is optimised.

They need no more than the losses, so they cost nothing; but `FAMO` and `AutoLambda` try
steps out. Three kinds: constant or random (`Equal`, `Fixed`, `RLW`), functions of the
losses or of their history (`GLS`, `ScaleInvariant`, `DWA`, `STCH`, `DTP`, `AMTL`), and
learned (`Uncertainty`, `IMTLL`, `FAMO`, `AutoLambda`). `GradNorm` and `ExcessMTL`
weight losses too, but look at gradients for that: they are in
`mtlzoo.balancing.aggregation`.
"""

from mtlzoo.balancing.weighting._amtl import AMTL
from mtlzoo.balancing.weighting._auto_lambda import AutoLambda
from mtlzoo.balancing.weighting._dtp import DTP
from mtlzoo.balancing.weighting._dwa import DWA
from mtlzoo.balancing.weighting._equal import Equal
from mtlzoo.balancing.weighting._famo import FAMO
from mtlzoo.balancing.weighting._fixed import Fixed
from mtlzoo.balancing.weighting._gls import GLS
from mtlzoo.balancing.weighting._imtl_l import IMTLL
from mtlzoo.balancing.weighting._rlw import RLW
from mtlzoo.balancing.weighting._scale_invariant import ScaleInvariant
from mtlzoo.balancing.weighting._stch import STCH
from mtlzoo.balancing.weighting._uncertainty import Uncertainty

__all__ = [
    "AMTL",
    "DTP",
    "DWA",
    "FAMO",
    "GLS",
    "IMTLL",
    "RLW",
    "STCH",
    "AutoLambda",
    "Equal",
    "Fixed",
    "ScaleInvariant",
    "Uncertainty",
]
