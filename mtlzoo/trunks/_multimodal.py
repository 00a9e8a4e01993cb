from collections.abc import Mapping
from typing import Any

import keras

from mtlzoo._registry import TRUNKS
from mtlzoo.errors import DataError
from mtlzoo.trunks._base import (
    Features,
    Sources,
    Stage,
    Trunk,
    concatenate,
    dense_stages,
)

DEFAULT_TRUNKS = {"vector": "tabular", "sequence": "rnn", "image": "cnn"}
"""The trunk for each form of input, where the caller names none."""


@TRUNKS.register("multimodal", takes="any inputs", gives="pooled, sequence, map")
@keras.saving.register_keras_serializable("mtlzoo")
class Multimodal(Trunk):
    """A trunk for each input, their pooled features joined by dense layers.

    Vector inputs (numbers, categories, dates) that are not named share one `tabular`
    trunk; an image or a text that is not named gets a `cnn` or an `rnn`. Sequence and
    map features are those of the only input that has them; with two such inputs there
    are none, since it would be unclear whose.

    Args:
        trunks: the trunk of each named input: a registered name or a trunk.
        units: the width of each dense layer after the trunks.
        activation: of these layers.
        dropout: the rate after each of these layers.

    Example:

    ```python
    Multimodal({"photo": trunks.ResNet(20), "caption": "transformer"})
    ```
    """

    def __init__(
        self,
        trunks: Mapping[str, Any] | None = None,
        *,
        units: tuple[int, ...] = (128,),
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        self.trunks = dict(trunks or {})
        self.units = tuple(units)
        self.activation = activation
        self.dropout = dropout

    def connect(self, sources: Sources, name: str = "trunk") -> Features:
        branches = self._branches(sources, name)
        fused = self._fuse(branches, name)
        outputs = []
        for stage in self.stages(name):
            fused = stage(fused)
            outputs.append(fused)
        sequences = [one.sequence for one in branches if one.sequence is not None]
        maps = [one.map for one in branches if one.map is not None]
        return Features(
            pooled=fused,
            sequence=sequences[0] if len(sequences) == 1 else None,
            map=maps[0] if len(maps) == 1 else None,
            stages=outputs,
        )

    def begin(self, sources: Sources, name: str) -> Any:
        return self._fuse(self._branches(sources, name), name)

    def stages(self, name: str) -> list[Stage]:
        return dense_stages(self.units, self.activation, self.dropout, f"{name}.fused")

    def finish(self, tensor: Any, name: str) -> Features:
        return Features(pooled=tensor)

    def _fuse(self, branches: list[Features], name: str) -> Any:
        return concatenate([branch.pooled for branch in branches], f"{name}.join")

    def _branches(self, sources: Sources, name: str) -> list[Features]:
        if unknown := sorted(set(self.trunks) - set(sources)):
            raise DataError(
                f"`trunks` names inputs that the model doesn't have: "
                f"{', '.join(unknown)}. Its inputs: {', '.join(sources)}."
            )
        groups: dict[str, dict[str, Any]] = {}
        chosen: dict[str, Any] = {}
        for key, source in sources.items():
            trunk = self.trunks.get(key, DEFAULT_TRUNKS[source.feature.form])
            shared = key not in self.trunks and trunk == "tabular"
            group = "table" if shared else key
            groups.setdefault(group, {})[key] = source
            chosen[group] = trunk
        return [
            as_branch(chosen[group]).connect(members, f"{name}.{group}")
            for group, members in groups.items()
        ]


def as_branch(trunk: Any) -> Trunk:
    from mtlzoo.trunks._get import get  # a branch may be any trunk, this one too

    return get(trunk)
