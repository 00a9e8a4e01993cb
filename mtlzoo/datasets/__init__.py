"""Datasets: multi-task data sets, split and ready to fit.

A data set is three splits, what goes in and what is to be predicted, so one line builds
a model that fits it:

```python
import mtlzoo

adult = mtlzoo.datasets.load("adult")
model = mtlzoo.build("shared_bottom", **adult.spec)
model.fit(adult.train, validation_data=adult.validation, epochs=5)
model.evaluate(adult.test)
```

`train`, `validation` and `test` are batched `tf.data` pipelines over data in memory;
`arrays` gives the same rows as NumPy arrays, for another library's baseline or for the
prediction of one row. Rows never move between splits: every data set has one split, or
one a seed. What a model learns from the data before training (means, vocabularies)
comes from the training split alone, and a label can't be an input.

A table of your own becomes a data set by `from_frame`; data that is split already, by
the constructor of `Dataset`. Tasks whose labels lie in different data sets train on one
stream by `interleave`; a source and a target with one loss each, by `joint`.
"""

from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._frame import from_frame
from mtlzoo.datasets._interleave import Interleaved, interleave
from mtlzoo.datasets._joint import joint
from mtlzoo.datasets._load import load

__all__ = ["Dataset", "Interleaved", "from_frame", "interleave", "joint", "load"]
