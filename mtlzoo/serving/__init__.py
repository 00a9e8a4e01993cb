"""Serving: run an export behind TensorFlow Serving's protocols, and call it.

```python
with mtlzoo.serving.serve("serving/income") as server:      # or: mtlzoo serve
    with mtlzoo.serving.Client(server.url, "income") as client:
        client.predict({"age": [39], "job": ["clerk"]})
        # {"income": array([[0.27]], dtype=float32)}
```

The server answers as `tensorflow_model_server` does, over REST and gRPC, and is for
development and continuous integration: it needs no Docker, takes new versions within a
second and says why one can't be served. In production the real one serves the same
folder, and the same client calls it.

The server and gRPC need `pip install "mtlzoo[serving]"`; the client over REST doesn't.
"""

from mtlzoo.serving._client import Client
from mtlzoo.serving._errors import ServingError
from mtlzoo.serving._serve import serve
from mtlzoo.serving._signature import Signature, Tensor
from mtlzoo.serving._transport import VersionStatus

__all__ = [
    "Client",
    "ServingError",
    "Signature",
    "Tensor",
    "VersionStatus",
    "serve",
]
