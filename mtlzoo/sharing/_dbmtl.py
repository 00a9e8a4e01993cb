from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import TaskError
from mtlzoo.sharing._base import Sharing
from mtlzoo.sharing._features import check_units, columns_as_they_are
from mtlzoo.sharing._funnel import towers
from mtlzoo.sharing._labels import check_one_kind
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources, dense_stages


@ARCHITECTURES.register(
    "dbmtl",
    paper="Wang et al., arXiv 2019",
    tasks="two or more that read one kind of features, in any acyclic graph",
    inputs="any",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class DBMTL(Sharing):
    """A graph of tasks: each reads what the tasks it depends on have found.

    The probability of all labels is taken apart along an acyclic graph,
    `p(y | x) = prod_t p(y_t | x, parents of t)`. With a tower `h_t` on shared features
    and `r_t` what the head of task `t` reads, `r_t = dense([h_t, r_p, r_q, ...])` for
    the parents `p, q, ...` of `t`, and `r_t = h_t` for a task without any.

    Args:
        relations: for each task the names of its parents; a task that is absent has
            none. `None` makes a chain of the tasks in their order.
        tower_units: the width of each dense layer of a task's tower.
        relation_units: the width of each dense layer that joins a tower and parents.
        activation: of these layers.

    Example:
    ```python
    mtlzoo.build("dbmtl", ..., relations={"buy": ["click"], "review": ["click", "buy"]})
    ```

    Reference: Qi Wang, Zhihui Ji, Huasheng Liu, Binqiang Zhao, *Deep Bayesian
    Multi-Target Learning for Recommender Systems*, 2019,
    <https://arxiv.org/abs/1902.09154>.
    """

    min_tasks = 2

    def __init__(
        self,
        relations: Mapping[str, Sequence[str]] | None = None,
        *,
        tower_units: tuple[int, ...] = (128, 64),
        relation_units: tuple[int, ...] = (64,),
        activation: str = "relu",
    ) -> None:
        self.relations = relations
        self.tower_units = check_units("dbmtl", tower_units, "tower_units")
        self.relation_units = check_units("dbmtl", relation_units, "relation_units")
        self.activation = activation

    def default_trunk(self, sources: Sources) -> Trunk:
        return columns_as_they_are(sources)

    def represent(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task]
    ) -> dict[str, Any]:
        check_one_kind(tasks, "dbmtl")
        names = [task.name for task in tasks]
        parents = self._parents(names)
        features = trunk.connect(sources).read(tasks[0])
        own = towers(features, tasks, self.tower_units, self.activation)
        related: dict[str, Any] = {}
        for task in in_order(parents):
            tensor = own[task]
            if parents[task]:
                found = [related[parent] for parent in parents[task]]
                tensor = keras.layers.Concatenate(name=f"sharing.relations.{task}")(
                    [tensor, *found]
                )
                for stage in dense_stages(
                    self.relation_units,
                    self.activation,
                    0.0,
                    f"sharing.relation.{task}",
                ):
                    tensor = stage(tensor)
            related[task] = tensor
        return related

    def _parents(self, names: list[str]) -> dict[str, list[str]]:
        if self.relations is None:
            return {names[0]: [], **{task: [one] for one, task in pairwise(names)}}
        mentioned = {*self.relations, *chain(*self.relations.values())}
        if unknown := sorted(mentioned - set(names)):
            raise TaskError(
                "`relations` of the architecture 'dbmtl' names tasks that the model "
                f"doesn't have: {', '.join(unknown)}. Its tasks: {', '.join(names)}."
            )
        return {name: list(self.relations.get(name, [])) for name in names}


def in_order(parents: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the tasks so that each comes after its parents.

    Raises:
        TaskError: there is a cycle; the message names its tasks.
    """
    done: list[str] = []
    while len(done) < len(parents):
        ready = [
            task
            for task, needed in parents.items()
            if task not in done and set(needed) <= set(done)
        ]
        if not ready:
            rest = [task for task in parents if task not in done]
            raise TaskError(
                "`relations` must have no cycle: a task can't depend on itself. "
                f"Received a cycle among: {', '.join(rest)}."
            )
        done += ready
    return done
