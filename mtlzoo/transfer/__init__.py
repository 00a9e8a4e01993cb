"""Transfer: from what is trained already to what is to be learned.

A model of `mtlzoo.build` has a trunk, and heads for its tasks. What of it is trained is
said in one small language, here and in `mtlzoo.trunks.Pretrained(trainable=...)`:

| choice | names |
|---|---|
| `True`, `False` | all of the trunk, nothing of it |
| `"last:3"` | the last three layers of the trunk that have weights |
| `"stage:block_5"` | that stage of the trunk, and all that comes after it |
| `"batch_norm"` | batch normalisations of the trunk, their statistics included |
| `"bias"` | biases of the trunk, and shifts of its other normalisations |
| `"lora:8"` | low-rank changes of rank 8 to the trunk's dense layers, attention and \
convolutions (Hu et al., ICLR 2022) |
| `"trunk/dense_*"` | any part of the model, by a wildcard pattern over paths |

Several in a list name what any of them does. A path is `trunk`, `sharing` or
`heads/<task>`, then the names of layers, then that of the variable, all joined by `/`:
`trunk/stage_1/block_2/first/conv/kernel`. The `*` matches across them, and a pattern
that matches a layer names all of its variables.

```python
transfer.freeze(model)                    # the trunk; the heads are trained
transfer.unfreeze(model, "last:2")        # ... and the last two layers of the trunk
print(transfer.trainable_report(model))
model.fit(data)                           # does so, whatever was compiled before
```

`use_base` says it in one word: the trunk gives its features, its weights, or only its
structure. Fine-tuning on few labels forgets less when it is held back: `regularize`, by
`L2SP`, `DELTA` (`channel_weights` measure what to hold) or `BSS`.

A frozen trunk gives the same features each epoch: `cache_features` computes them once,
and `head_model` trains the heads on them, many times faster.

Heads come and go: `add_head`, `replace_head`, `drop_head`; `graft` takes a trained one
from another model of the same base.

A model that works on one domain and is meant for another learns to see both alike while
it trains: `adapt`, with `MMD`, `CORAL` or `DANN`. `reestimate_batch_norm` needs no
training at all.

One model learns from others by `distill`, a teacher a task; fine-tuned copies of one
base become one model by `soup`, `greedy_soup` and `task_arithmetic`. Where labels are
few and inputs are many, `pretrain` has the trunk learn from inputs alone.
"""

from mtlzoo.transfer._adapt import Alignment, adapt
from mtlzoo.transfer._autoencoder import autoencoder
from mtlzoo.transfer._bases import base_fingerprint
from mtlzoo.transfer._batch_norm import reestimate_batch_norm
from mtlzoo.transfer._bss import BSS
from mtlzoo.transfer._cache import cache_features
from mtlzoo.transfer._cached import CachedFeatures
from mtlzoo.transfer._channel_weights import channel_weights
from mtlzoo.transfer._coral import CORAL
from mtlzoo.transfer._dann import DANN
from mtlzoo.transfer._delta import DELTA
from mtlzoo.transfer._distill import distill
from mtlzoo.transfer._gradual import GradualUnfreeze
from mtlzoo.transfer._heads import add_head, drop_head, graft, replace_head
from mtlzoo.transfer._l2_sp import L2SP
from mtlzoo.transfer._layerwise import LayerwiseOptimizer, layerwise_learning_rates
from mtlzoo.transfer._mmd import MMD
from mtlzoo.transfer._modes import use_base
from mtlzoo.transfer._pretrain import pretrain
from mtlzoo.transfer._regularize import Regularizer, regularize
from mtlzoo.transfer._report import PartReport, TrainableReport, trainable_report
from mtlzoo.transfer._schedules import WarmUp
from mtlzoo.transfer._soup import GreedySoup, greedy_soup, soup
from mtlzoo.transfer._split import head_model
from mtlzoo.transfer._task_arithmetic import task_arithmetic
from mtlzoo.transfer._toggles import freeze, merge_lora, set_trainable, unfreeze

__all__ = [
    "adapt",
    "add_head",
    "Alignment",
    "autoencoder",
    "base_fingerprint",
    "BSS",
    "cache_features",
    "CachedFeatures",
    "channel_weights",
    "CORAL",
    "DANN",
    "DELTA",
    "distill",
    "drop_head",
    "freeze",
    "GradualUnfreeze",
    "graft",
    "greedy_soup",
    "GreedySoup",
    "head_model",
    "L2SP",
    "layerwise_learning_rates",
    "LayerwiseOptimizer",
    "merge_lora",
    "MMD",
    "PartReport",
    "pretrain",
    "reestimate_batch_norm",
    "regularize",
    "Regularizer",
    "replace_head",
    "set_trainable",
    "soup",
    "task_arithmetic",
    "trainable_report",
    "TrainableReport",
    "unfreeze",
    "use_base",
    "WarmUp",
]
