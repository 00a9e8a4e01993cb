"""Bundles: one published set of weights each, with what it takes to trust them.

A bundle is a folder, `models/<architecture>.<tag>/<version>/`:

| file | what it holds |
|---|---|
| `bundle.json` | the manifest, `WeightsInfo`: with the hash of every other file |
| `config.json` | the Keras config, of layers alone |
| `shared.safetensors` | weights that are no head's |
| `heads/<task>.safetensors` | weights of the head of one task |
| `golden.npz` | a few raw inputs, and what the model answers |
| `card.md` | the same for people, with what no manifest says |
| `saved_model/1/` | for TensorFlow Serving, if it is there |

Keys of weights are variable paths, such as `trunk.dense_1/kernel`. A bundle that stands
on a base, which is another bundle, stores only what isn't the base's.
"""

from mtlzoo._bundles._build import all_weights, base_weights, build_model
from mtlzoo._bundles._bundle import Bundle
from mtlzoo._bundles._cache import Cached, cached, remove, unneeded
from mtlzoo._bundles._fingerprint import fingerprint
from mtlzoo._bundles._home import cache, project_models
from mtlzoo._bundles._index import Entry, find_bundles, make_index, parse_index
from mtlzoo._bundles._info import (
    NAME,
    BaseInfo,
    DatasetInfo,
    FileInfo,
    InputInfo,
    MetricInfo,
    RecipeInfo,
    TaskInfo,
    WeightsInfo,
)
from mtlzoo._bundles._keys import find_prefix, relative_keys, weights_by_key
from mtlzoo._bundles._list import find_pretrained, list_pretrained
from mtlzoo._bundles._locate import entries, find, find_entry, locate, missing_bytes
from mtlzoo._bundles._sizes import size_in_bytes, size_in_words
from mtlzoo._bundles._write import check_golden, write

__all__ = [
    "all_weights",
    "base_weights",
    "BaseInfo",
    "build_model",
    "Bundle",
    "cache",
    "Cached",
    "cached",
    "check_golden",
    "DatasetInfo",
    "entries",
    "Entry",
    "FileInfo",
    "find",
    "find_bundles",
    "find_entry",
    "find_prefix",
    "find_pretrained",
    "fingerprint",
    "InputInfo",
    "list_pretrained",
    "locate",
    "make_index",
    "MetricInfo",
    "missing_bytes",
    "NAME",
    "parse_index",
    "project_models",
    "RecipeInfo",
    "relative_keys",
    "remove",
    "size_in_bytes",
    "size_in_words",
    "TaskInfo",
    "unneeded",
    "weights_by_key",
    "WeightsInfo",
    "write",
]
