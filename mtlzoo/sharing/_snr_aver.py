import keras

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.sharing._routing import Routing


@ARCHITECTURES.register(
    "snr_aver",
    paper="Ma et al., AAAI 2019",
    tasks="one or more, any kind",
    inputs="any",
    extra_losses="number of open connections",
)
@keras.saving.register_keras_serializable("mtlzoo")
class SNRAver(Routing):
    """Sub-networks that are summed over connections that are learned.

    Levels of sub-networks `u_1 ... u_E`; what sub-network or task `o` on the next level
    reads is `v_o = sum_i z_{o,i} u_i`. The binary `z_{o,i}` says whether the connection
    is there; it is learned through the hard concrete distribution (see `Connections`)
    at a price of `sparsity` for each that is open. Unlike in `snr_trans`, connections
    have no matrices.

    Args:
        num_experts: how many sub-networks each level has, `E`.
        num_levels: how many levels of sub-networks there are.
        expert_units: the width of each dense layer of a sub-network.
        activation: of these layers.
        sparsity: the weight of the expected number of open connections in the loss.

    Reference: Jiaqi Ma, Zhe Zhao, Jilin Chen, Ang Li, Lichan Hong, Ed H. Chi, *SNR:
    Sub-Network Routing for Flexible Parameter Sharing in Multi-Task Learning*, AAAI
    2019, <https://doi.org/10.1609/aaai.v33i01.3301216>.
    """

    owner = "snr_aver"
    transforms = False
