"""mtlzoo: multi-task learning for Keras.

```python
import mtlzoo
from mtlzoo import tasks

model = mtlzoo.build(
    "shared_bottom",
    inputs={"age": (), "job": mtlzoo.Categorical(["clerk", "nurse"])},
    tasks=[tasks.Binary("income"), tasks.Regression("hours")],
)
```

Importing this package loads neither Keras nor TensorFlow; they come with the first use
of what needs them.
"""

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mtlzoo import _lazy
from mtlzoo._registry import ARCHITECTURES, BALANCING, DATASETS, TRUNKS
from mtlzoo._version import __version__

if TYPE_CHECKING:
    from mtlzoo import (
        balancing as balancing,
        callbacks as callbacks,
        datasets as datasets,
        export as export,
        features as features,
        heads as heads,
        hub as hub,
        metrics as metrics,
        plot as plot,
        serving as serving,
        sharing as sharing,
        tasks as tasks,
        transfer as transfer,
        trunks as trunks,
    )
    from mtlzoo._build import build as build
    from mtlzoo._bundles import list_pretrained as list_pretrained
    from mtlzoo.features import (
        Categorical as Categorical,
        Date as Date,
        Image as Image,
        Numeric as Numeric,
        Sequence as Sequence,
        Text as Text,
        Tokens as Tokens,
    )
    from mtlzoo.hub import load as load, load_head as load_head
    from mtlzoo.model import MultiTaskModel as MultiTaskModel


__all__ = [
    "Categorical",
    "Date",
    "Image",
    "MultiTaskModel",
    "Numeric",
    "Sequence",
    "Text",
    "Tokens",
    "__version__",
    "balancing",
    "build",
    "callbacks",
    "datasets",
    "errors",
    "export",
    "features",
    "heads",
    "hub",
    "list_architectures",
    "list_balancing",
    "list_datasets",
    "list_pretrained",
    "list_trunks",
    "load",
    "load_head",
    "metrics",
    "plot",
    "serving",
    "sharing",
    "tasks",
    "transfer",
    "trunks",
]

_HOME_OF = {
    "build": "mtlzoo._build",
    "MultiTaskModel": "mtlzoo.model",
    "list_pretrained": "mtlzoo._bundles",
    "load": "mtlzoo.hub",
    "load_head": "mtlzoo.hub",
    **dict.fromkeys(
        ["Categorical", "Date", "Image", "Numeric", "Sequence", "Text", "Tokens"],
        "mtlzoo.features",
    ),
}


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    if name in __all__:
        return importlib.import_module(f"mtlzoo.{name}")
    raise AttributeError(f"module 'mtlzoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def list_architectures(pattern: str | Iterable[str] = "*") -> list[str]:
    """Return the names that `build` takes, those matching a wildcard pattern."""
    return ARCHITECTURES.list(pattern)


def list_balancing(pattern: str | Iterable[str] = "*") -> list[str]:
    """Return the names of weightings and aggregations that match a pattern."""
    return BALANCING.list(pattern)


def list_trunks(pattern: str | Iterable[str] = "*") -> list[str]:
    """Return the names of trunks that match a pattern."""
    return TRUNKS.list(pattern)


def list_datasets(pattern: str | Iterable[str] = "*") -> list[str]:
    """Return the names that `mtlzoo.datasets.load` takes and that match a pattern."""
    return DATASETS.list(pattern)


_lazy.register_with_keras()
