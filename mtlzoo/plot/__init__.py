"""Pictures: what a model looks like, how its tasks share, how its training went.

```python
mtlzoo.plot.model(model, "model.png")      # or model.plot("model.png")
mtlzoo.plot.history({"mmoe": history, "single_task": baseline}, "curves.png")
mtlzoo.plot.sharing(model, test_inputs, "sharing.png")
mtlzoo.plot.balancing(log, "balancing.png")  # of mtlzoo.callbacks.BalancingLog
```

Each returns a matplotlib figure, which a notebook shows, and writes a file where it is
given a path; its suffix decides the format. They need the extra `plot`:
`pip install "mtlzoo[plot]"`.
"""

from mtlzoo.plot._balancing import balancing
from mtlzoo.plot._history import history
from mtlzoo.plot._model import model
from mtlzoo.plot._sharing import sharing

__all__ = ["balancing", "history", "model", "sharing"]
