from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import DataError, OptionError
from mtlzoo.sharing._base import Head, Outputs, Sharing, mark_representation
from mtlzoo.sharing._experts import check_at_least
from mtlzoo.sharing._labels import JoinPredictions
from mtlzoo.tasks import Task, check_tasks
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


@ARCHITECTURES.register(
    "hierarchical",
    paper="Hashimoto et al., EMNLP 2017; Søgaard and Goldberg, ACL 2016",
    tasks="one or more, any kind, from low-level to high-level",
    inputs="any, over a trunk of several stages",
    extra_losses="none",
)
@keras.saving.register_keras_serializable("mtlzoo")
class Hierarchical(Sharing):
    """Tasks at different depths of one trunk, each told what the ones below predict.

    A task at depth `d` reads `h_d`, the output of stage `d` of the trunk. What the next
    stage reads is `W [h_d, e_1, e_2, ...] + b`, as wide as `h_d`, where
    `e_t = sum_c y_{t,c} l_{t,c}` is the label embedding of each task `t` at depth `d`:
    the mean of its classes' learned vectors `l_{t,c}`, weighted by the predicted
    probabilities `y_{t,c}`. Without label embeddings, stages follow each other
    directly, as in Søgaard and Goldberg.

    Args:
        depth: for each task the stage that it reads, counted from 1. `None` spreads the
            tasks, in their order, over the stages; the last task reads the last one.
        label_units: the width of a label embedding; 0 for none.

    Example:
    ```python
    mtlzoo.build("hierarchical", ..., trunk="transformer", depth={"tag": 1, "topic": 2})
    ```

    Reference: Kazuma Hashimoto, Caiming Xiong, Yoshimasa Tsuruoka, Richard Socher, *A
    Joint Many-Task Model: Growing a Neural Network for Multiple NLP Tasks*, EMNLP 2017,
    <https://arxiv.org/abs/1611.01587>; Anders Søgaard, Yoav Goldberg, *Deep multi-task
    learning with low level tasks supervised at lower layers*, ACL 2016,
    <https://aclanthology.org/P16-2038>.

    Differences from the joint many-task model: a linear map brings features and label
    embeddings back to the width of the features, so that any stage can follow; the
    inputs are not passed on to every layer; the successive regularisation of its
    training schedule is left out.
    """

    def __init__(
        self, depth: Mapping[str, int] | None = None, *, label_units: int = 16
    ) -> None:
        self.depth = depth
        self.label_units = label_units
        check_at_least(0, "hierarchical", label_units=label_units)

    def connect(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task], head: Head
    ) -> Outputs:
        tasks = check_tasks(tasks)
        tensor = trunk.begin(sources, "trunk")
        stages = trunk.stages("trunk")
        depth = self._depths([task.name for task in tasks], len(stages))
        outputs = Outputs({}, {})
        for index, stage in enumerate(stages, start=1):
            tensor = stage(tensor)
            here = [task for task in tasks if depth[task.name] == index]
            if not here:
                continue
            last = index == len(stages)
            features = trunk.finish(tensor, "trunk" if last else f"trunk.after_{index}")
            for task in here:
                representation = mark_representation(task.name, features.read(task))
                outputs.representations[task.name] = representation
                outputs.predictions[task.name] = head(task, representation)
            if self.label_units and index < max(depth.values()):
                labels = [self._embed(task, outputs) for task in here]
                tensor = self._merge(tensor, labels, index)
        return outputs

    def _embed(self, task: Task, outputs: Outputs) -> Any:
        # One probability stands for two classes, whose vectors are `b` and `W + b`.
        prediction = outputs.predictions[task.name]
        return keras.layers.Dense(
            self.label_units,
            use_bias=not task.has_classes,
            name=f"sharing.label.{task.name}",
        )(prediction)

    def _merge(self, tensor: Any, labels: list[Any], index: int) -> Any:
        joined = JoinPredictions(name=f"sharing.join_{index}")([tensor, *labels])
        return keras.layers.Dense(tensor.shape[-1], name=f"sharing.merge_{index}")(
            joined
        )

    def _depths(self, names: list[str], num_stages: int) -> dict[str, int]:
        if not num_stages:
            raise DataError(
                "The architecture 'hierarchical' needs a trunk of at least one stage, "
                "such as an mlp with units, a transformer or a resnet. This one has "
                "none."
            )
        if self.depth is None:
            return {
                name: -(-position * num_stages // len(names))
                for position, name in enumerate(names, start=1)
            }
        if set(self.depth) != set(names) or not all(
            1 <= stage <= num_stages for stage in self.depth.values()
        ):
            raise OptionError(
                "`depth` of the architecture 'hierarchical' must give each task a "
                f"stage from 1 to {num_stages}. Tasks: {', '.join(names)}. Received: "
                f"depth={dict(self.depth)}."
            )
        return dict(self.depth)
