"""Hub: pretrained models, and heads that can be put together on one base.

```python
import mtlzoo

mtlzoo.list_pretrained(task="binary")                # names
model = mtlzoo.load("mmoe.adult")                    # a model, ready to predict
model = mtlzoo.load_head("digits.efficientnet_lite0", onto=model)
```

What is loaded is a bundle: a folder `models/<architecture>.<tag>/<version>/` with the
weights, one file a head, the config, golden answers, a card, and a manifest that holds
the hash of every file. Bundles come with mtlzoo, from the cache, or from the addresses
in `MTLZOO_MIRRORS`, in that order; a folder of your own loads through the same path:
`mtlzoo.load(Path("models/mmoe.wages"))`.

| variable | what it does |
|---|---|
| `MTLZOO_HOME` | the folder of downloaded bundles, in place of the user's cache |
| `MTLZOO_MIRRORS` | addresses to fetch from, parted by spaces, tried in order |
| `MTLZOO_HEADER` | a header for private mirrors, as `Authorization: Bearer ...`; \
passwords in `~/.netrc` work by themselves |
| `MTLZOO_OFFLINE=1` | never use the network |

A bundle is data. Its config may name layers of mtlzoo and of Keras's own and nothing
else, weights are safetensors, golden rows are arrays without pickle; all is compared
with its hash before it is looked into. `publish` writes bundles of your own.
"""

from mtlzoo._bundles import (
    BaseInfo,
    DatasetInfo,
    FileInfo,
    InputInfo,
    MetricInfo,
    RecipeInfo,
    TaskInfo,
    WeightsInfo,
    fingerprint,
    list_pretrained,
    locate,
)
from mtlzoo.hub._card import card
from mtlzoo.hub._catalogue import catalogue
from mtlzoo.hub._evaluate import TOLERANCE, Measured, evaluate
from mtlzoo.hub._load import load, load_head
from mtlzoo.hub._publish import publish, write_index
from mtlzoo.hub._report import LoadReport
from mtlzoo.hub._verify import verify

__all__ = [
    "BaseInfo",
    "DatasetInfo",
    "FileInfo",
    "InputInfo",
    "LoadReport",
    "Measured",
    "MetricInfo",
    "RecipeInfo",
    "TOLERANCE",
    "TaskInfo",
    "WeightsInfo",
    "card",
    "catalogue",
    "evaluate",
    "fingerprint",
    "list_pretrained",
    "load",
    "load_head",
    "locate",
    "publish",
    "verify",
    "write_index",
]
