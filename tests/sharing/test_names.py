"""Tasks whose names are prefixes of one another, or words that the methods use."""

import numpy as np
import pytest
from by_hand import fill, mlp, represent, rows, tiny

import mtlzoo
from mtlzoo._registry import ARCHITECTURES

X = rows()
NAMES = ["click", "click_buy"]


def on_vectors():
    """Return the architectures that take vectors."""
    names = mtlzoo.list_architectures()
    return [name for name in names if "example" not in ARCHITECTURES.entry(name).facts]


@pytest.mark.parametrize(
    "name",
    ["adapters", "aitm", "cgc", "dbmtl", "dselect_k", "film", "mmoe", "task_lora"],
)
def test_layers_of_a_task_with_a_prefixed_name_are_its_own(name):
    model = fill(tiny(name, NAMES, trunk=mlp(4, 6)))
    before = represent(model, X)
    own = [one for one in model.layers if "click_buy" in one.name.split(".")]
    weights = [weight for one in own for weight in one.trainable_variables]
    assert weights
    for weight in weights:
        # Not a constant: a softmax over the gates wouldn't see it.
        weight.assign(weight + 0.3 * np.random.default_rng(0).normal(size=weight.shape))
    after = represent(model, X)
    np.testing.assert_array_equal(before["click"], after["click"])
    assert not np.allclose(before["click_buy"], after["click_buy"])


@pytest.mark.parametrize("name", on_vectors())
def test_words_that_methods_use_may_name_tasks(name):
    model = tiny(name, ["shared", "experts"], trunk=mlp(4, 6))
    assert set(represent(model, X)) == {"shared", "experts"}
