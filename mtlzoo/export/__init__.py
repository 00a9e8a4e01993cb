"""Export: from a trained model to a folder that TensorFlow Serving serves as it is.

```python
mtlzoo.export.saved_model(model, "serving/income")   # -> serving/income/1
```

The folder holds what the server needs and no Python: the graph with its preprocessing,
the weights once, and the signatures. `serving_default` takes the model's inputs by
name, raw as they come, and gives the prediction of each task under the task's name, as
float32. `task_<name>` does the same for one task and computes nothing else. Others
classify and regress serialized examples, give representations, and take pictures as
files; see `saved_model`.

An export becomes visible under its version number in one step, and only after another
process has loaded it as the server does and its answers have been compared with the
model's. `load` runs an export from Python in that same way:

```python
exported = mtlzoo.export.load("serving/income")
exported({"age": [39], "job": ["clerk"]})            # -> {"income": array([[0.27]])}
```

A SavedModel is a program. `scan` says what one that came from elsewhere would do beside
computing, and `load` refuses it unless told to trust it.

`deployment` writes the files that the server is deployed with. `litert` and `onnx`
convert a model into one file for devices and for other runtimes, and say how far its
answers are from the model's. `quantized` gives a copy with int8 weights, which
`saved_model` exports as any other.
"""

from mtlzoo._saved_models import scan
from mtlzoo.export._converted import Converted
from mtlzoo.export._deployment import deployment
from mtlzoo.export._litert import litert
from mtlzoo.export._load import ExportedModel, load
from mtlzoo.export._onnx import onnx
from mtlzoo.export._quantized import quantized
from mtlzoo.export._saved_model import saved_model

__all__ = [
    "Converted",
    "ExportedModel",
    "deployment",
    "litert",
    "load",
    "onnx",
    "quantized",
    "saved_model",
    "scan",
]
