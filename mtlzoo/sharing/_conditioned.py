from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from mtlzoo.errors import DataError
from mtlzoo.sharing._base import Sharing
from mtlzoo.sharing._replay import layers_before, made_by, replay
from mtlzoo.tasks import Task
from mtlzoo.trunks import Features, Trunk
from mtlzoo.trunks._base import Sources


class Conditioned(Sharing):
    """Methods in which all tasks go through one trunk, each with additions of its own.

    The trunk is applied once a task; its weights are shared, the additions are not.

    Args:
        train_trunk: whether the trunk is trained too; `False` freezes it, which is for
            trunks that carry pretrained weights.
    """

    def __init__(self, *, train_trunk: bool = True) -> None:
        self.train_trunk = train_trunk

    @abstractmethod
    def places(self, trunk: Trunk, features: Features, layers: list[Any]) -> set[str]:
        """Return the names of the layers that additions follow.

        Args:
            trunk: what the features come from.
            features: of the trunk.
            layers: all that lead to what a task reads.
        """

    @abstractmethod
    def condition(
        self, layer: Any, arguments: tuple[Any, ...], output: Any, task: str
    ) -> Any:
        """Return the output of a layer of the trunk with the additions of a task.

        Args:
            layer: one of `places`.
            arguments: what the layer is applied to.
            output: of the layer.
            task: whose additions to make, by name.
        """

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        features = trunk.connect(sources)
        representations = {}
        for task in tasks:
            plain = features.read(task)
            layers = layers_before(plain)
            places = self.places(trunk, features, layers)
            if not places & {layer.name for layer in layers}:
                raise DataError(
                    f"{type(self).__name__} found nothing in the trunk "
                    f"{type(trunk).__name__} to add to. Take one with stages, such as "
                    "a transformer, an mlp with units, a cnn or a resnet."
                )
            if not self.train_trunk:
                for layer in layers:
                    layer.trainable = False
            representations[task.name] = self._through(plain, places, task.name)
        return representations

    def _through(self, plain: Any, places: set[str], task: str) -> Any:
        def change(layer: Any, arguments: tuple[Any, ...], output: Any) -> Any:
            if layer.name not in places:
                return output
            return self.condition(layer, arguments, output, task)

        return replay(plain, change)


def stage_ends(features: Features) -> set[str]:
    """Return the names of the layers that end a stage of the trunk."""
    kinds = (features.pooled, features.sequence, features.map)
    ends = features.stages or [one for one in kinds if one is not None]
    return {made_by(tensor).name for tensor in ends}


def name_of(part: str, layer: Any, task: str) -> str:
    """Return the name of an addition to a layer of the trunk, for one task."""
    return f"sharing.{part}.{layer.name.removeprefix('trunk.')}.{task}"
