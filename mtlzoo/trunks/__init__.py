"""Trunks: from inputs to features.

A trunk encodes the inputs and turns them into features: always pooled ones of shape
`(batch, width)`, and where it has them a sequence `(batch, steps, width)` for tagging
tasks or a map `(batch, height, width, channels)` for dense tasks.

```python
mtlzoo.build("shared_bottom", inputs=inputs, tasks=tasks, trunk="resnet")
mtlzoo.build("shared_bottom", inputs=inputs, tasks=tasks, trunk=trunks.ResNet(32))
mtlzoo.build("shared_bottom", inputs=inputs, tasks=tasks, trunk=any_keras_model)
```

Without `trunk` the inputs decide: `tabular` for columns, `cnn` for an image, `rnn` for
a text or a series, `multimodal` for several kinds together.
"""

from mtlzoo.trunks._base import Features, Source, Trunk
from mtlzoo.trunks._cnn import CNN
from mtlzoo.trunks._custom import Custom
from mtlzoo.trunks._efficientnet_lite0 import EfficientNetLite0
from mtlzoo.trunks._get import default, get
from mtlzoo.trunks._mlp import MLP, Tabular
from mtlzoo.trunks._multimodal import Multimodal
from mtlzoo.trunks._pretrained._pretrained import Pretrained
from mtlzoo.trunks._resnet import ResNet
from mtlzoo.trunks._rnn import RNN
from mtlzoo.trunks._transformer import Transformer

__all__ = [
    "CNN",
    "Custom",
    "EfficientNetLite0",
    "Features",
    "MLP",
    "Multimodal",
    "Pretrained",
    "RNN",
    "ResNet",
    "Source",
    "Tabular",
    "Transformer",
    "Trunk",
    "default",
    "get",
]
