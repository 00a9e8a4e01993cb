from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from mtlzoo import trunks
from mtlzoo.errors import OptionError
from mtlzoo.sharing._base import Sharing
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


class Layers:
    """Makes each layer once: asked for the same name again, it gives the same layer.

    Args:
        prefix: what the names of the layers start with.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._made: dict[str, Any] = {}

    def __call__(self, kind: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if name not in self._made:
            self._made[name] = kind(*args, name=f"{self._prefix}.{name}", **kwargs)
        return self._made[name]


class FeatureSharing(Sharing):
    """Methods that work on the features of one trunk, whatever their kind.

    Their layers act on the last axis, so a sequence is handled step by step and a map
    pixel by pixel. Where tasks read features of different kinds (one a sequence,
    another the pooled features), the same layers are applied to each kind, if the kinds
    are equally wide; if not, each width has layers of its own.

    On columns alone the trunk is by default just the encoded inputs: the layers of the
    method are the network then, as in the papers.
    """

    def default_trunk(self, sources: Sources) -> Trunk:
        return columns_as_they_are(sources)

    @abstractmethod
    def mix(
        self, features: Any, tasks: Sequence[str], layers: Layers
    ) -> dict[str, Any]:
        """Return the representation of each task.

        Args:
            features: of the trunk, of one kind.
            tasks: the names of all tasks.
            layers: makes the layers, or gives those made for another kind.
        """

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        features = trunk.connect(sources)
        names = [task.name for task in tasks]
        by_width: dict[int, Layers] = {}
        by_kind: dict[str, dict[str, Any]] = {}
        for task in tasks:
            if task.reads in by_kind:
                continue
            tensor = features.read(task)
            prefix = f"sharing.{task.reads}" if by_width else "sharing"
            layers = by_width.setdefault(tensor.shape[-1], Layers(prefix))
            by_kind[task.reads] = self.mix(tensor, names, layers)
        return {task.name: by_kind[task.reads][task.name] for task in tasks}


def columns_as_they_are(sources: Sources) -> Trunk:
    """Return a trunk that only encodes, for columns alone; else the usual one."""
    if {source.feature.form for source in sources.values()} == {"vector"}:
        return trunks.Tabular(units=())
    return trunks.default(sources)


def check_units(
    owner: str, units: Any, option: str = "expert_units"
) -> tuple[int, ...]:
    """Return the widths of layers as a tuple, or refuse them.

    Raises:
        OptionError: there is none, or one is below 1.
    """
    units = tuple(units) if isinstance(units, list | tuple) else (units,)
    if not units or not all(isinstance(one, int) and one >= 1 for one in units):
        raise OptionError(
            f"`{option}` of the architecture {owner!r} must hold the width of at "
            f"least one layer, such as (64,). Received: {option}={units}."
        )
    return units
