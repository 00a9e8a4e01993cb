"""Names, configs and arguments, and the messages when they are wrong."""

import keras
import pytest

from mtlzoo import balancing
from mtlzoo.errors import TaskError, UnknownNameError


def test_what_can_be_given():
    assert isinstance(balancing.get(None), balancing.Equal)
    assert isinstance(balancing.get("nash_mtl"), balancing.NashMTL)
    method = balancing.CAGrad(c=0.1, heads="imtl_l")
    assert balancing.get(method) is method
    config = keras.saving.serialize_keras_object(method)
    assert repr(balancing.get(config)) == repr(method)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="Did you mean 'pcgrad'"):
        balancing.get("pc_grad")
    with pytest.raises(TypeError, match=r"Received: 3"):
        balancing.get(3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: balancing.MGDA(gradients="all"),
            ValueError,
            "must be 'parameters' or",
        ),
        (
            lambda: balancing.MoCo(gradients="representation"),
            ValueError,
            r"must be 'parameters'\. .* belong to the rows of one batch",
        ),
        (
            lambda: balancing.DualBalancing(momentum=0.5, gradients="representation"),
            ValueError,
            "Leave `momentum` out",
        ),
        (lambda: balancing.MGDA(normalization="exp"), ValueError, "normalization"),
        (lambda: balancing.MGDA(heads="pcgrad"), TypeError, "must be a weighting"),
        (lambda: balancing.CAGrad(c=-1), ValueError, "`c` must be"),
        (lambda: balancing.FairGrad(alpha=0), ValueError, "`alpha` must be"),
        (lambda: balancing.NashMTL(max_norm=-1), ValueError, "`max_norm` must be"),
        (lambda: balancing.AlignedMTL(scale="mean"), ValueError, "`scale` must be"),
        (lambda: balancing.UPGrad(regularization=-1), ValueError, "regularization"),
        (lambda: balancing.DualProj(regularization=-1), ValueError, "regularization"),
        (lambda: balancing.SDMGrad(regularization=-1), ValueError, "regularization"),
        (lambda: balancing.GradVac(beta=2), ValueError, "`beta` must be"),
        (lambda: balancing.GradDrop(leak=2), ValueError, "`leak` must be"),
        (lambda: balancing.DualBalancing(momentum=1), ValueError, "`momentum` must"),
        (lambda: balancing.CRMOGM(momentum=2), ValueError, "`momentum` must be"),
        (lambda: balancing.CRMOGM("graddrop"), TypeError, "works on the Gramian"),
        (lambda: balancing.DWA(temperature=0), ValueError, "`temperature` must be"),
        (lambda: balancing.STCH(mu=0), ValueError, "`mu` must be above 0"),
        (lambda: balancing.AMTL(mean="max"), ValueError, "`mean` must be"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_too_few_tasks():
    with pytest.raises(TaskError, match=r"at least 2 tasks\. Received: num_tasks=1"):
        balancing.PCGrad().build(1)
    with pytest.raises(TaskError, match=r"at least 1 tasks"):
        balancing.Uncertainty().build(0)
