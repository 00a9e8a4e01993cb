from collections.abc import Sequence
from typing import Any

import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._base import Head, Outputs, Sharing
from mtlzoo.sharing._features import check_units, columns_as_they_are
from mtlzoo.sharing._funnel import JointProbability, check_funnel, mark_all, towers
from mtlzoo.tasks import Task
from mtlzoo.trunks import Trunk
from mtlzoo.trunks._base import Sources


@ARCHITECTURES.register(
    "esmm",
    paper="Ma et al., SIGIR 2018",
    tasks="two Binary: a funnel, such as click then purchase",
    inputs="any",
    extra_losses="none",
    labels="funnel",
)
@keras.saving.register_keras_serializable("mtlzoo")
class ESMM(Sharing):
    """Click and conversion over all impressions: entire space multi-task model.

    A purchase needs a click, so a purchase rate learned on clicked rows alone is biased
    for the rest. Two towers on shared features give `p(click)` and
    `p(purchase | click)`; what is trained on every row is `p(click)` against the label
    `click`, and `p(purchase) = p(click) p(purchase | click)` against `purchase`.

    For tasks `[Binary("click"), Binary("purchase")]` the outputs of the model are
    `click` (the click-through rate, CTR), `purchase` (the click-through and conversion
    rate, CTCVR) and, as a third that has no label, `purchase_given_click` (the
    conversion rate, CVR). The label `purchase` is given for all rows, 0 where there was
    no click; a row with a purchase and no click is an error.

    Args:
        tower_units: the width of each dense layer of a task's tower, below its head.
        activation: of these layers.

    Reference: Xiao Ma, Liqin Zhao, Guan Huang, Zhi Wang, Zelin Hu, Xiaoqiang Zhu, Kun
    Gai, *Entire Space Multi-Task Model: An Effective Approach for Estimating
    Post-Click Conversion Rate*, SIGIR 2018, <https://arxiv.org/abs/1804.07931>.
    """

    owner = "esmm"

    def __init__(
        self, *, tower_units: tuple[int, ...] = (360, 200, 80), activation: str = "relu"
    ) -> None:
        self.tower_units = check_units(self.owner, tower_units, "tower_units")
        self.activation = activation

    def default_trunk(self, sources: Sources) -> Trunk:
        return columns_as_they_are(sources)

    def connect(
        self, sources: Sources, trunk: Trunk, tasks: Sequence[Task], head: Head
    ) -> Outputs:
        click, purchase = check_funnel(tasks, self.owner)
        features = trunk.connect(sources).read(click)
        marked = mark_all(towers(features, tasks, self.tower_units, self.activation))
        click_rate = head(click, marked[click.name])
        conversion_rate = self.correct(
            head(purchase, marked[purchase.name]), click_rate, features, click, purchase
        )
        both = JointProbability(
            click.name, purchase.name, name=f"sharing.joint.{purchase.name}"
        )([click_rate, conversion_rate])
        return Outputs(
            predictions={click.name: click_rate, purchase.name: both},
            representations=marked,
            derived={f"{purchase.name}_given_{click.name}": conversion_rate},
        )

    def correct(
        self,
        conversion_rate: Any,
        click_rate: Any,
        features: Any,
        click: Task,
        purchase: Task,
    ) -> Any:
        """Return `conversion_rate`; methods built on this one add losses to it."""
        return conversion_rate
