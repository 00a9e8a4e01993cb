"""Metrics: what multi-task learning gains or costs over one model a task.

`delta_m` compares one method with single-task models, as one number; `mean_rank`
compares many methods with each other. Both take metrics of which more is better and
metrics of which less is better, in any mixture.

```python
from mtlzoo import metrics

metrics.delta_m(
    {"income_auc": 0.912, "hours_mae": 7.4},
    {"income_auc": 0.908, "hours_mae": 7.6},
    {"income_auc": True, "hours_mae": False},
)
```

`affinity` measures how much training one task helps another in a model that both share,
and `suggest_groups` says from that which tasks to train together:

```python
metrics.suggest_groups(metrics.affinity(model, train), num_groups=2)
```

All but `affinity` are plain NumPy. The metrics of one task (accuracy, AUC, error) are
Keras's own and belong to the tasks.
"""

from mtlzoo.metrics._affinity import affinity
from mtlzoo.metrics._delta_m import delta_m
from mtlzoo.metrics._mean_rank import mean_rank
from mtlzoo.metrics._suggest_groups import suggest_groups

__all__ = ["affinity", "delta_m", "mean_rank", "suggest_groups"]
