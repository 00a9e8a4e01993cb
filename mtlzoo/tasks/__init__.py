"""Tasks: what there is to predict.

A task is a name and a contract: the shape and range of its labels, what marks a label
as missing, the shape and activation of its predictions, its loss and its metrics. A
model has one head a task, and its outputs are a dict keyed by the tasks' names.

```python
from mtlzoo import tasks

tasks.Binary("click", class_weight={1: 10.0})
tasks.Regression.from_values("price", train["price"])
tasks.Multiclass("topic", ["art", "law", "sport"], missing=-1)
```

Several data sets seldom have labels for all tasks. A label may be NaN, or the value
that its task declares as missing, or its task's key may be absent from a whole batch;
it then adds nothing to the loss, to any gradient or to any metric, and the loss is the
mean over the labels that are there.
"""

from mtlzoo.tasks._base import Task
from mtlzoo.tasks._binary import Binary
from mtlzoo.tasks._count import Count
from mtlzoo.tasks._dense import Dense
from mtlzoo.tasks._multiclass import Multiclass
from mtlzoo.tasks._multilabel import MultiLabel
from mtlzoo.tasks._ordinal import Ordinal
from mtlzoo.tasks._regression import Regression
from mtlzoo.tasks._sequence_tagging import SequenceTagging
from mtlzoo.tasks._sets import change_tasks, check_tasks

__all__ = [
    "Binary",
    "Count",
    "Dense",
    "MultiLabel",
    "Multiclass",
    "Ordinal",
    "Regression",
    "SequenceTagging",
    "Task",
    "change_tasks",
    "check_tasks",
]
