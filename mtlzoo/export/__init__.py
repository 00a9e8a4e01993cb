"""Export: from a trained model to a folder that TensorFlow Serving serves as it is.

```python
mtlzoo.export.saved_model(model, "serving/income")   # -> serving/income/1
```

The folder holds what the server needs and no Python: the graph with its preprocessing,
the weights once, and the signatures. `serving_default` takes the model's inputs by
name, raw as they come, and gives the prediction of each task under the task's name, as
float32. `task_<name>` does the same for one task and computes nothing else.

An export becomes visible under its version number in one step, and only after another
process has loaded it as the server does and its answers have been compared with the
model's. `load` runs an export from Python in that same way:

```python
exported = mtlzoo.export.load("serving/income")
exported({"age": [39], "job": ["clerk"]})            # -> {"income": array([[0.27]])}
```
"""

from mtlzoo.export._deployment import deployment
from mtlzoo.export._load import ExportedModel, load
from mtlzoo.export._saved_model import saved_model

__all__ = ["ExportedModel", "deployment", "load", "saved_model"]
