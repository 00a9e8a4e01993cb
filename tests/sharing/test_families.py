"""Every architecture over images, texts, series, and picture and text together."""

import itertools

import fresh
import keras
import numpy as np
import pytest
from examples import INPUTS, raw_inputs

import mtlzoo
from mtlzoo import heads, tasks, trunks
from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import DataError, TaskError

POOLED = [tasks.Binary("click"), tasks.Binary("click_buy")]
FAMILIES = {
    "cnn": (
        "image",
        lambda: trunks.CNN((4, 8)),
        [tasks.Dense("parts", 3), tasks.Multiclass("garment", 3)],
    ),
    "rnn": (
        "text",
        lambda: trunks.RNN((4,)),
        [tasks.SequenceTagging("word", 3), tasks.Ordinal("stars", 4)],
    ),
    "transformer": (
        "sequence",
        lambda: trunks.Transformer(1, width=4, num_heads=2, feedforward=4),
        [tasks.SequenceTagging("state", 3), tasks.Regression("price")],
    ),
    "multimodal": (
        "mixed",
        lambda: trunks.Multimodal(
            {"photo": trunks.CNN((4,)), "review": trunks.RNN((4,))}, units=(4, 4)
        ),
        [tasks.Binary("answer"), tasks.Count("visits")],
    ),
}
"""The inputs, a trunk, and two tasks, where it can be of different kinds."""

REFUSED = {
    ("mtan", "rnn"): "needs a trunk of stages that give maps",
    ("mtan", "transformer"): "needs a trunk of stages that give maps",
    ("mtan", "multimodal"): "needs a trunk of stages that give maps",
    ("sluice", "cnn"): "reads maps, whose size changes",
    ("task_lora", "rnn"): "found nothing in the trunk RNN to add to",
}


def tasks_for(name, family):
    """Return tasks of different kinds, or of one where the method needs that."""
    takes = ARCHITECTURES.entry(name).facts["tasks"]
    made = FAMILIES[family][2]
    if "Binary" in takes:
        return POOLED
    if "one kind" in takes:
        first, again = made[0].get_config(), {"name": f"{made[0].name}_too"}
        return [made[0], type(made[0])(**{**first, **again})]
    return made


def inputs(family):
    return raw_inputs(FAMILIES[family][0], rows=3)


def predict(model, family):
    """Return all outputs, computed eagerly, which is quicker for a few rows."""
    x = {key: keras.ops.convert_to_tensor(one) for key, one in inputs(family).items()}
    return {name: one.numpy() for name, one in model(x, training=False).items()}


def build(name, family):
    kind, trunk, _ = FAMILIES[family]
    return mtlzoo.build(
        name,
        inputs=INPUTS[kind],
        tasks=tasks_for(name, family),
        trunk=trunk(),
        head=heads.Tower(()),
    )


@pytest.mark.parametrize("family", ["cnn", "rnn", "transformer"])
@pytest.mark.parametrize("name", ARCHITECTURES.list())
def test_predicts_and_no_weight_starts_as_the_copy_of_another(name, family):
    if (name, family) in REFUSED:
        with pytest.raises((DataError, TaskError), match=REFUSED[name, family]):
            build(name, family)
        return
    model = build(name, family)
    for prediction in predict(model, family).values():
        assert np.isfinite(prediction).all()
    drawn = [one.numpy() for one in model.trainable_variables]
    drawn = [one for one in drawn if one.size > 4 and len(np.unique(one)) == one.size]
    assert drawn
    for one, other in itertools.combinations(drawn, 2):
        assert one.shape != other.shape or not np.allclose(one, other)


def test_fresh_process_reloads_every_architecture(tmp_path):
    """Picture and text together."""
    for name in ARCHITECTURES.list():
        family = "cnn" if (name, "multimodal") in REFUSED else "multimodal"
        model = build(name, family)
        fresh.save(tmp_path / name, model, inputs(family), predict(model, family))
    assert fresh.reloaded(tmp_path) == ARCHITECTURES.list()
