"""Pictures: what a model looks like, and how its training went.

```python
mtlzoo.plot.model(model, "model.png")      # or model.plot("model.png")
mtlzoo.plot.history({"mmoe": history, "single_task": baseline}, "curves.png")
```

Both return a matplotlib figure, which a notebook shows, and write a file where they are
given a path; its suffix decides the format. They need the extra `plot`:
`pip install "mtlzoo[plot]"`.
"""

from mtlzoo.plot._history import history
from mtlzoo.plot._model import model

__all__ = ["history", "model"]
