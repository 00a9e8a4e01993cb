import re
from collections.abc import Collection, Sequence
from itertools import takewhile

import keras

from mtlzoo._trainable._places import Place

NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)
_UP_TO_NUMBER = re.compile(r".*?\d+[a-z]?(?=_|$)")


def stages(
    places: Sequence[Place], *, apart: Collection[str] = ()
) -> dict[str, list[Place]]:
    """Group places by the stage of the network that they belong to, first to last.

    Stages are read off the names of layers. What all paths begin with is left out; of
    the rest, a stage is the first name, up to its first number: `stage_1` of
    `trunk/stage_1/block_2/first/conv/kernel`, `block5a` of `block5a_expand_conv/kernel`
    and `dense_1` of `trunk/dense_1/kernel`. Embeddings side by side are one stage, and
    a normalisation named otherwise belongs to the layer before it.

    Args:
        places: of a trunk, in the order of its graph.
        apart: names in paths that tell trunks side by side apart, such as those of
            tasks; the stages of all these trunks are counted together.
    """
    names = [
        [name for name in place.path.split("/")[:-1] if name not in apart]
        for place in places
    ]
    shared = _shared_length([one[:-1] for one in names])
    found: dict[str, list[Place]] = {}
    last = ""
    for place, path in zip(places, names, strict=True):
        name = _stage_of(place, path[shared:])
        if isinstance(place.layer, NORMALIZATIONS) and name not in found and last:
            name = last
        found.setdefault(name, []).append(place)
        last = name
    return found


def _shared_length(paths: list[list[str]]) -> int:
    """Return how many names all paths begin with."""
    columns = zip(*paths, strict=False)
    return len(list(takewhile(lambda column: len(set(column)) == 1, columns)))


def _stage_of(place: Place, path: list[str]) -> str:
    if isinstance(place.layer, keras.layers.Embedding) and len(path) < 3:
        return "embeddings"
    first = path[0] if path else place.layer.name
    numbered = _UP_TO_NUMBER.match(first)
    return numbered.group() if numbered else first.split("_")[0]
