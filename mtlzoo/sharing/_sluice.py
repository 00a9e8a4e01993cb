from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import DataError, TaskError
from mtlzoo.sharing._columns import Columns, starting_at
from mtlzoo.sharing._orthogonality import orthogonality
from mtlzoo.sharing._readable import Readable
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources

SUBSPACES = 2


@keras.saving.register_keras_serializable("mtlzoo")
class SubspaceStitch(Readable, keras.layers.Layer):
    """A linear combination of all columns' halves, for each half of one column.

    Each of the `T` columns `x_j` is cut in two halves on the last axis. The result is
    the halves `sum_i a_{s,i} h_i`, `s = 1, 2`, joined again, where `i` runs over all
    `2 T` halves. Added to the loss is `orthogonality * ||h_1^T h_2 / n||_F^2` for the
    two halves of the own column over the `n` rows of the batch.

    Args:
        tasks: the names of the columns, in order.
        own: the index of the column that reads the result.
        own_weight: what a half's own weight starts at; the other halves share
            `1 - own_weight` evenly.
        orthogonality: the weight of the penalty.

    Input shape: a list of tensors of one shape, a column each; an even last axis.

    Output shape: that shape.
    """

    quantity = "mixing weight"

    def __init__(
        self,
        tasks: Sequence[str],
        own: int,
        *,
        own_weight: float,
        orthogonality: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.tasks = tuple(tasks)
        self.own = own
        self.own_weight = own_weight
        self.orthogonality = orthogonality

    def build(self, input_shape: Any) -> None:
        count = SUBSPACES * len(self.tasks)
        rest = (1.0 - self.own_weight) / (count - 1)
        start = [
            [
                self.own_weight if index == SUBSPACES * self.own + half else rest
                for index in range(count)
            ]
            for half in range(SUBSPACES)
        ]
        self.weight = self.add_weight(
            name="weight", shape=(SUBSPACES, count), initializer=starting_at(start)
        )

    def call(self, inputs: Any) -> Any:
        halves = [half for one in inputs for half in ops.split(one, SUBSPACES, axis=-1)]
        first, second = halves[SUBSPACES * self.own : SUBSPACES * (self.own + 1)]
        if self.orthogonality:
            self.add_loss(self.orthogonality * orthogonality(first, second))
        mixed = [
            sum(weights[index] * half for index, half in enumerate(halves))
            for weights in (self.weight[0], self.weight[1])
        ]
        return ops.concatenate(mixed, axis=-1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[self.own] if mask else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        names = ("tasks", "own", "own_weight", "orthogonality")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    @property
    def read_from(self) -> Sequence[str]:
        halves = range(1, SUBSPACES + 1)
        return [f"{task} half {half}" for task in self.tasks for half in halves]

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        return ops.convert_to_numpy(self.weight)


@keras.saving.register_keras_serializable("mtlzoo")
class StageSum(Readable, keras.layers.Layer):
    """A weighted sum over the stages of a column: `sum_l b_l x_l`, `b` learned.

    Args:
        last_weight: what the weight of the last stage starts at; the others share
            `1 - last_weight` evenly.

    Input shape: a list of tensors of one shape, one a stage.

    Output shape: that shape.
    """

    quantity = "weight of the stage"

    def __init__(self, last_weight: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.last_weight = last_weight

    def build(self, input_shape: Any) -> None:
        others = len(input_shape) - 1
        last = self.last_weight if others else 1.0
        start = [(1.0 - last) / max(others, 1)] * others + [last]
        self.weight = self.add_weight(
            name="weight", shape=(others + 1,), initializer=starting_at(start)
        )

    def call(self, inputs: Any) -> Any:
        return sum(self.weight[index] * tensor for index, tensor in enumerate(inputs))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[-1] if mask else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "last_weight": self.last_weight}

    @property
    def read_from(self) -> Sequence[str]:
        return [f"stage {one}" for one in range(1, self.weight.shape[0] + 1)]

    def use(self, inputs: list[Any], outputs: list[Any]) -> Any:
        return ops.convert_to_numpy(self.weight)


@ARCHITECTURES.register(
    "sluice",
    paper="Ruder et al., AAAI 2019",
    tasks="two or more, any kind; maps of one size",
    inputs="any, over a trunk of several stages",
    extra_losses="orthogonality of the halves",
)
@keras.saving.register_keras_serializable("mtlzoo")
class Sluice(Columns):
    """Cross-stitch between halves of the networks, and a learned choice of depth.

    The output of each stage of each task's network is cut into two halves, one to share
    and one to keep as training may decide: `sum_i A_{l,i',i} h_i` over the `2 T` halves
    of all `T` networks is what the next stage reads as half `i'`. The halves of a
    network are kept apart by a penalty on what they have in common. The head of task
    `t` reads `sum_l b_{t,l} x_{l,t}`, a learned sum over the stages `l`. With 1 on
    the diagonal of each `A` and on the last stage, the networks are independent.

    Args:
        own_weight: what the diagonal of each `A` starts at.
        last_weight: what the weight of the last stage starts at.
        orthogonality: the weight of the penalty.

    Reference: Sebastian Ruder, Joachim Bingel, Isabelle Augenstein, Anders Søgaard,
    *Latent Multi-task Architecture Learning*, AAAI 2019,
    <https://arxiv.org/abs/1705.08142>.

    Differences from the paper: the penalty `||H_1^T H_2||_F^2` is computed from rows
    scaled to unit length and divided by their number, so that neither the batch nor the
    scale of the features changes it; where a stage is not as wide as the last one, its
    features are brought to that width by a matrix.
    """

    def __init__(
        self,
        *,
        own_weight: float = 0.9,
        last_weight: float = 0.9,
        orthogonality: float = 0.1,
    ) -> None:
        self.own_weight = own_weight
        self.last_weight = last_weight
        self.orthogonality = orthogonality

    def exchange(self, columns: dict[str, Any], stage: int) -> dict[str, Any]:
        width = next(iter(columns.values())).shape[-1]
        if width % SUBSPACES:
            raise DataError(
                "The architecture 'sluice' cuts the output of each stage in halves, so "
                f"each needs an even width. Received: width {width} at stage {stage}."
            )
        return {
            task: SubspaceStitch(
                list(columns),
                own,
                own_weight=self.own_weight,
                orthogonality=self.orthogonality,
                name=f"sharing.stitch_{stage}.{task}",
            )(list(columns.values()))
            for own, task in enumerate(columns)
        }

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        outputs = self.run(sources, trunk, tasks)
        return {task.name: self._sum_stages(task, trunk, outputs) for task in tasks}

    def _sum_stages(
        self, task: Task, trunk: Trunk, outputs: list[dict[str, Any]]
    ) -> Any:
        *early, last = [stage[task.name] for stage in outputs]
        final = trunk.finish(last, f"trunk.{task.name}").read(task)
        features = []
        for index, tensor in enumerate(early, start=1):
            name = f"trunk.{task.name}.after_{index}"
            tensor = trunk.finish(tensor, name).read(task)
            if tensor.shape[1:-1] != final.shape[1:-1]:
                raise TaskError(
                    "The architecture 'sluice' adds up the stages of the trunk, and "
                    f"task {task.name!r} reads maps, whose size changes from "
                    f"{tensor.shape[1:-1]} to {final.shape[1:-1]}. Take 'cross_stitch' "
                    "or 'mtan' for such tasks."
                )
            if tensor.shape[-1] != final.shape[-1]:
                tensor = keras.layers.Dense(
                    final.shape[-1],
                    use_bias=False,
                    name=f"sharing.widen_{index}.{task.name}",
                )(tensor)
            features.append(tensor)
        return StageSum(self.last_weight, name=f"sharing.stages.{task.name}")(
            [*features, final]
        )
