"""Features: what a model is given, and how it becomes numbers.

The layers that a feature stands for (normalisation, vocabulary, embedding) are part of
the model, so a saved or exported model takes raw values: an age in years, a job as a
string, a photo as pixels.

```python
inputs = {
    "age": mtlzoo.Numeric.from_values(train["age"]),
    "job": mtlzoo.Categorical(["clerk", "nurse", "smith"]),
    "review": mtlzoo.Text.from_values(train["review"]),
    "photo": (224, 224, 3),     # a plain shape: floats that need no scaling
}
inputs = mtlzoo.features.infer(train)     # or by the types of the columns
```
"""

from mtlzoo.features._arrays import Image, Sequence
from mtlzoo.features._base import Feature
from mtlzoo.features._categorical import Categorical
from mtlzoo.features._infer import as_feature, infer
from mtlzoo.features._numeric import Date, Numeric, to_seconds
from mtlzoo.features._text import Text, Tokens
from mtlzoo.features._unknown import unknown

__all__ = [
    "Categorical",
    "Date",
    "Feature",
    "Image",
    "Numeric",
    "Sequence",
    "Text",
    "Tokens",
    "as_feature",
    "infer",
    "to_seconds",
    "unknown",
]
