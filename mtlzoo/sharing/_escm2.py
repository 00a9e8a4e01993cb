from typing import Any

import keras
from keras import ops

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import OptionError
from mtlzoo.sharing._esmm import ESMM
from mtlzoo.sharing._supervision import known_labels
from mtlzoo.tasks import Task
from mtlzoo.trunks._base import dense_stages


@keras.saving.register_keras_serializable("mtlzoo")
class CounterfactualLoss(keras.layers.Layer):
    """Add a loss of the conversion rate that is unbiased over all impressions.

    With `o` the click label, `r` the purchase label, `d` the cross-entropy of `r` and
    the conversion rate, and `p` the click rate, held constant and at least
    `min_propensity`, the loss is the mean over the labelled rows of

    - `o d / p` (inverse propensity score), or, given `e`, an estimate of `d`,
    - `e + o (d - e) / p + o (d - e)^2 / p` (doubly robust, with what trains `e`),

    times `weight`. The conversion rate passes through unchanged.

    Args:
        click: the name of the task whose label is `o`.
        purchase: the name of the task whose label is `r`.
        weight: of the loss.
        min_propensity: the least `p` that is divided by.

    Input shape: a list of tensors of shape `(batch, 1)`: conversion rate, click rate
    and, for the doubly robust loss, `e`.

    Output shape: `(batch, 1)`.
    """

    def __init__(
        self,
        click: str,
        purchase: str,
        *,
        weight: float,
        min_propensity: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.click = click
        self.purchase = purchase
        self.weight = weight
        self.min_propensity = min_propensity

    def call(self, inputs: Any) -> Any:
        conversion_rate, click_rate, *imputed = inputs
        clicked, known_click = known_labels(self.click, click_rate)
        bought, known_purchase = known_labels(self.purchase, conversion_rate)
        rows = ops.sign(known_click) * known_purchase
        propensity = ops.maximum(ops.stop_gradient(click_rate), self.min_propensity)
        inverse = clicked / propensity
        error = ops.expand_dims(
            keras.losses.binary_crossentropy(bought, conversion_rate), -1
        )
        losses = inverse * error
        if imputed:
            miss = error - imputed[0]
            losses = imputed[0] + inverse * miss + inverse * miss**2
        mean = ops.divide_no_nan(ops.sum(rows * losses), ops.sum(rows))
        self.add_loss(self.weight * mean)
        return conversion_rate

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        names = ("click", "purchase", "weight", "min_propensity")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@ARCHITECTURES.register(
    "escm2_ips",
    paper="Wang et al., SIGIR 2022",
    tasks="two Binary: a funnel, such as click then purchase",
    inputs="any",
    extra_losses="inverse propensity score",
    labels="funnel",
)
@keras.saving.register_keras_serializable("mtlzoo")
class ESCM2IPS(ESMM):
    """ESMM with a conversion loss weighted by the inverse of the click rate.

    ESMM's conversion rate is biased still, and in it a purchase need not depend on the
    click. Added here is `weight * mean(o d / p)`: over all labelled rows, the
    cross-entropy `d` of the conversion rate where there was a click (`o = 1`), divided
    by the click rate `p` that the model predicts, which this loss does not train. The
    outputs are those of `esmm`.

    Args:
        weight: of the added loss.
        min_propensity: the least `p` that is divided by; bounds the weight of a row.
        tower_units: the width of each dense layer of a task's tower, below its head.
        activation: of these layers.

    Reference: Hao Wang, Tai-Wei Chang, Tianqiao Liu, Jianmin Huang, Zhichao Chen, Chao
    Yu, Ruopeng Li, Wei Chu, *ESCM²: Entire Space Counterfactual Multi-Task Model for
    Post-Click Conversion Rate Estimation*, SIGIR 2022,
    <https://arxiv.org/abs/2204.05125>.
    """

    owner = "escm2_ips"

    def __init__(
        self,
        *,
        weight: float = 1.0,
        min_propensity: float = 1 / 15,
        tower_units: tuple[int, ...] = (360, 200, 80),
        activation: str = "relu",
    ) -> None:
        super().__init__(tower_units=tower_units, activation=activation)
        self.weight = weight
        self.min_propensity = min_propensity
        if not 0 < min_propensity <= 1:
            raise OptionError(
                f"`min_propensity` of the architecture {self.owner!r} must be above 0 "
                f"and at most 1. Received: min_propensity={min_propensity}."
            )

    def correct(
        self,
        conversion_rate: Any,
        click_rate: Any,
        features: Any,
        click: Task,
        purchase: Task,
    ) -> Any:
        return self._counterfactual(click, purchase)([conversion_rate, click_rate])

    def _counterfactual(self, click: Task, purchase: Task) -> Any:
        return CounterfactualLoss(
            click.name,
            purchase.name,
            weight=self.weight,
            min_propensity=self.min_propensity,
            name=f"sharing.counterfactual.{purchase.name}",
        )


@ARCHITECTURES.register(
    "escm2_dr",
    paper="Wang et al., SIGIR 2022",
    tasks="two Binary: a funnel, such as click then purchase",
    inputs="any",
    extra_losses="doubly robust, imputation",
    labels="funnel",
)
@keras.saving.register_keras_serializable("mtlzoo")
class ESCM2DR(ESCM2IPS):
    """ESMM with a doubly robust conversion loss.

    Added is `weight * mean(e + o (d - e) / p + o (d - e)^2 / p)`: as in `escm2_ips`,
    and with a third tower whose output `e` estimates the cross-entropy `d` also where
    there was no click. The first two terms are unbiased if either `e` or `p` is right;
    the last one trains `e`. The outputs are those of `esmm`.

    Args:
        weight: of the added loss.
        min_propensity: the least `p` that is divided by; bounds the weight of a row.
        tower_units: the width of each dense layer of a tower.
        activation: of these layers.

    Reference: Hao Wang, Tai-Wei Chang, Tianqiao Liu, Jianmin Huang, Zhichao Chen, Chao
    Yu, Ruopeng Li, Wei Chu, *ESCM²: Entire Space Counterfactual Multi-Task Model for
    Post-Click Conversion Rate Estimation*, SIGIR 2022,
    <https://arxiv.org/abs/2204.05125>.

    Differences from the paper: `e` is made positive, as `d` is, by a softplus.
    """

    owner = "escm2_dr"

    def correct(
        self,
        conversion_rate: Any,
        click_rate: Any,
        features: Any,
        click: Task,
        purchase: Task,
    ) -> Any:
        tensor = features
        for stage in dense_stages(
            self.tower_units, self.activation, 0.0, "sharing.imputation"
        ):
            tensor = stage(tensor)
        imputed = keras.layers.Dense(
            1, activation="softplus", dtype="float32", name="sharing.imputation.error"
        )(tensor)
        layer = self._counterfactual(click, purchase)
        return layer([conversion_rate, click_rate, imputed])
