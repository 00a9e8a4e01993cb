"""Callbacks: what to hand to `fit`.

```python
model.fit(data, epochs=10, verbose=0, callbacks=[mtlzoo.callbacks.Progress()])
```

Keras's own callbacks work as well. They find a task's metrics under `<task>_<metric>`,
and those on validation data under `val_<task>_<metric>`, as in
`keras.callbacks.EarlyStopping("val_income_auc", mode="max")`.
"""

from mtlzoo.callbacks._balancing_log import BalancingLog
from mtlzoo.callbacks._progress import Progress
from mtlzoo.callbacks._step_time import StepTime

__all__ = ["BalancingLog", "Progress", "StepTime"]
