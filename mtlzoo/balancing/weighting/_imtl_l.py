from typing import Any

import keras
from keras import ops

from mtlzoo._registry import BALANCING
from mtlzoo.balancing._base import Weighting


@BALANCING.register("imtl_l", paper="Liu et al., ICLR 2021", kind="weighting")
@keras.saving.register_keras_serializable("mtlzoo")
class IMTLL(Weighting):
    """Learns the scale of each loss, so that all scaled losses are 1.

    `total = sum_i exp(s_i) L_i - s_i`, where `s_i` is learned with the model and `L_i`
    is the loss of task `i`; at the best `s_i`, `exp(s_i) L_i = 1`. It is `Uncertainty`
    with `-s` in place of `s`, and twice as large. `IMTLG(heads="imtl_l")` is the
    paper's whole method.

    Example:
    ```python
    model.compile("adam", balancing="imtl_l")
    ```

    Reference:
        Liyang Liu, Yi Li, Zhanghui Kuang, Jing-Hao Xue, Yimin Chen, Wenming Yang,
        Qingmin Liao and Wayne Zhang, "Towards Impartial Multi-task Learning", ICLR
        2021, <https://openreview.net/forum?id=IMPnRXEWpvr>.

    Differences from the authors' code:
        There is none. No weight decay acts on `s_i`.
    """

    def build(self, num_tasks: int) -> None:
        super().build(num_tasks)
        self.log_scales = self.add_weight(
            name="log_scales", shape=(num_tasks,), initializer="zeros"
        )

    def weigh(self, losses: Any, present: Any) -> Any:
        weights = ops.exp(ops.cast(self.log_scales, losses.dtype))
        return ops.where(present, weights, 0.0)

    def total(self, losses: Any, present: Any) -> Any:
        penalty = ops.cast(self.log_scales, losses.dtype)
        penalty = ops.where(present, penalty, 0.0)
        return ops.sum(self.weigh(losses, present) * losses - penalty)
