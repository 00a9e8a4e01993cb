"""What of a model is trained: one small language, and the flags of Keras set by it.

A choice is written as

- `True` for all, `False` for nothing;
- `"last:3"`, the last three layers that have weights;
- `"stage:block_5"`, that stage and all that comes after it;
- `"batch_norm"`, scales and shifts of batch normalisation, and its statistics;
- `"bias"`, the biases, and the shifts of every other normalisation;
- `"lora:8"`, low-rank changes of rank 8, made where there are none (`add_lora`);
- any other text: a wildcard pattern over the paths of variables, such as
  `"*/block_5/*/kernel"`, or of the layers that hold them;
- several of these in a list, for all that any of them names.

It works on any built Keras layer or model: `set_trainable(model, "last:3")`.
"""

from mtlzoo._trainable._apply import set_chosen, set_trainable
from mtlzoo._trainable._lora import add_lora, has_lora, merge_lora, renew_lora
from mtlzoo._trainable._places import Place, path_of, places
from mtlzoo._trainable._select import Choice, lora_rank, select, texts
from mtlzoo._trainable._stages import stages
from mtlzoo._trainable._state import layers, restore, state, without_lora

__all__ = [
    "Choice",
    "Place",
    "add_lora",
    "has_lora",
    "lora_rank",
    "layers",
    "merge_lora",
    "path_of",
    "places",
    "renew_lora",
    "restore",
    "select",
    "set_chosen",
    "set_trainable",
    "stages",
    "state",
    "texts",
    "without_lora",
]
