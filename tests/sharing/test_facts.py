"""What the listing says of each architecture is what it does."""

import keras
import numpy as np
import pytest
from examples import INPUTS, raw_inputs

import mtlzoo
from mtlzoo import heads, tasks, trunks
from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import TaskError
from mtlzoo.sharing._supervision import supervised

TRUNKS = {
    "vector": lambda: trunks.MLP((4, 4)),
    "image": lambda: trunks.CNN((4,)),
    "sequence": lambda: trunks.RNN((4,)),
}


def facts(name):
    return ARCHITECTURES.entry(name).facts


def build(name, *made, example=None):
    example = example or facts(name).get("example", "vector")
    return mtlzoo.build(
        name,
        inputs=INPUTS[example],
        tasks=made,
        trunk=TRUNKS[example](),
        head=heads.Tower(()),
    )


@pytest.mark.parametrize("name", ARCHITECTURES.list())
class TestFacts:
    def test_one_task_or_two(self, name):
        task = tasks.Binary("click")
        if facts(name)["tasks"].startswith("one or more"):
            assert set(build(name, task).output) == {"click"}
        else:
            with pytest.raises(TaskError, match=r"At least 2 tasks|two Binary"):
                build(name, task)

    def test_kinds_of_tasks(self, name):
        """That the others take mixed kinds, their test on families shows."""
        says = facts(name)["tasks"]
        if "Binary" in says:
            with pytest.raises(TaskError, match=r"takes .*Binary tasks"):
                build(name, tasks.Regression("price"), tasks.Regression("size"))
        elif "one kind" in says:
            with pytest.raises(TaskError, match="read features of one kind"):
                build(
                    name,
                    tasks.SequenceTagging("word", 3),
                    tasks.Binary("topic"),
                    example="sequence",
                )
        else:
            assert "any kind" in says

    def test_extra_losses(self, name):
        model = build(name, tasks.Binary("click"), tasks.Binary("buy"))
        x = raw_inputs(facts(name).get("example", "vector"), rows=4)
        x = {key: keras.ops.convert_to_tensor(one) for key, one in x.items()}
        labels = np.array([1, 0, 1, 0], "float32")
        with supervised((x, {"click": labels, "buy": labels})):
            model(x, training=True)
        assert bool(model.losses) == (facts(name)["extra_losses"] != "none")


NORMS = {
    "mtan": ("BatchNormalization", {"momentum": 0.9, "epsilon": 1e-5}),
    "nddr": ("BatchNormalization", {"momentum": 0.95, "epsilon": 1e-3}),
    "shared_attention": ("LayerNormalization", {"epsilon": 1e-5}),
}
"""The numbers in the authors' codes, which differ from Keras's defaults."""


@pytest.mark.parametrize("name", ARCHITECTURES.list())
def test_normalisation_has_the_numbers_of_the_authors(name):
    """Who adds normalisation to an architecture looks them up."""
    model = build(name, tasks.Binary("click"), tasks.Binary("buy"))
    found = {
        (type(layer).__name__, str({key: getattr(layer, key) for key in wanted}))
        for layer in model.layers
        if "Normalization" in type(layer).__name__ and layer.name.startswith("sharing.")
        for wanted in [NORMS.get(name, ("", {}))[1]]
    }
    expected = {(NORMS[name][0], str(NORMS[name][1]))} if name in NORMS else set()
    assert found == expected
