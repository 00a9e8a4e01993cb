"""Heads on a frozen base, trained on features that are computed once.

What a frozen base makes of a picture is the same in every epoch and for every seed, and
takes nearly all of the time. So the features of all rows are computed first, heads are
trained on them alone, and their weights then go into the whole model.
"""

import json
from typing import Any

from mtlzoo.cli._output import working
from mtlzoo.cli._settings import Settings

INPUT = "features"

_computed: dict[str, Any] = {}
"""The features of one data set by one base; the next seed needs them again."""


def features(settings: Settings, dataset: Any, model: Any) -> Any:
    """Return the data set with the trunk's features in place of the inputs."""
    from mtlzoo import datasets, features as kinds

    key = json.dumps(
        [
            settings.dataset,
            settings.dataset_options,
            settings.rows,
            settings.trunk,
            settings.trunk_options,
        ],
        default=str,
    )
    if key not in _computed:
        _computed.clear()
        task = model.tasks[0].name
        with working("Computing the features"):
            _computed[key] = {
                split: model.representations(dataset.arrays(split)[0], verbose=0)[task]
                for split in dataset.sizes
            }
    arrays = _computed[key]
    made = datasets.Dataset(
        dataset.name,
        {
            split: ({INPUT: values}, dataset.arrays(split)[1])
            for split, values in arrays.items()
        },
        inputs={INPUT: kinds.Numeric(arrays["train"].shape[1:])},
        tasks=dataset.tasks,
    )
    return made.batched(dataset.batch_size, shuffle_seed=dataset.shuffle_seed)


def copy_heads(source: Any, target: Any) -> None:
    """Copy the weights of all heads; their layers have the same names in both."""
    for layer in source.layers:
        if layer.name.startswith("heads."):
            target.get_layer(layer.name).set_weights(layer.get_weights())
