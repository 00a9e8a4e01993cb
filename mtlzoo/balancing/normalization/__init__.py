"""Loss normalisations: what is done to each loss before gradients are combined.

Losses in different units have gradients of different sizes, and most aggregators side
with the larger or with the smaller ones. Any aggregator takes any normalisation:

```python
balancing.CAGrad(normalization="log")
```
"""

from mtlzoo.balancing.normalization._base import Normalization, get
from mtlzoo.balancing.normalization._first_step import FirstStep
from mtlzoo.balancing.normalization._log import Log
from mtlzoo.balancing.normalization._running_average import RunningAverage

__all__ = [
    "FirstStep",
    "Log",
    "Normalization",
    "RunningAverage",
    "get",
]
