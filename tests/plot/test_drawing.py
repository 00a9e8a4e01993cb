"""Drawings of models: the right blocks, and no two of them over each other."""

import itertools
import sys

import keras
import pytest
from examples import INPUTS, TASKS, TRUNKS, two_task_model
from matplotlib.figure import Figure

import mtlzoo
from mtlzoo import features, plot
from mtlzoo._registry import ARCHITECTURES
from mtlzoo.errors import DataError, MissingExtraError
from mtlzoo.plot._block import Block
from mtlzoo.plot._blocks import blocks
from mtlzoo.plot._layout import layout
from mtlzoo.plot._text import lines_of


def drawn(model):
    """Return the parents of each block, by part and name."""
    return {
        (one.part, one.name): sorted((up.part, up.name) for up in one.parents)
        for one in blocks(model)
    }


def names_of_inputs(model):
    found = [one for one in blocks(model) if one.part == "inputs"]
    return sorted(sorted(layer.name for layer in one.layers) for one in found)


def trunk_model(trunk, architecture="shared_bottom"):
    inputs, make_trunk = TRUNKS[trunk]
    kinds = ["binary", "regression"]
    return mtlzoo.build(
        architecture,
        inputs=INPUTS[inputs],
        tasks=[TASKS[kind](f"my_{kind}") for kind in kinds],
        trunk=make_trunk(),
    )


class TestBlocks:
    def test_shared_bottom_is_a_trunk_and_heads(self):
        model = trunk_model("tabular")
        assert names_of_inputs(model) == [["age", "code", "day", "job", "review"]]
        found = drawn(model)
        heads = [key for key in found if key[0] == "heads"]
        assert heads == [("heads", "my_binary"), ("heads", "my_regression")]
        assert all(found[head] == [("trunk", "")] for head in heads)
        assert len(found) == 4

    def test_numbers_with_bins_are_part_of_the_trunk(self):
        """They are read twice, standardized and by bins, and joined again."""
        ages = {
            name: features.Numeric(edges=[0.0, 1.0, 2.0]) for name in ("age", "hours")
        }
        model = mtlzoo.build("shared_bottom", inputs=ages, tasks=[TASKS["binary"]("y")])
        assert names_of_inputs(model) == [["age", "hours"]]
        assert len(drawn(model)) == 3

    def test_single_task_is_a_column_each(self):
        found = drawn(trunk_model("tabular", "single_task"))
        assert found["heads", "my_binary"] == [("trunk", "my_binary")]
        assert found["heads", "my_regression"] == [("trunk", "my_regression")]
        assert len(found) == 5

    def test_multimodal_is_a_branch_an_input(self):
        model = trunk_model("multimodal")
        assert names_of_inputs(model) == [["age"], ["photo"], ["review"]]
        assert drawn(model)["trunk", "fused"] == [
            ("trunk", "photo"),
            ("trunk", "review"),
            ("trunk", "table"),
        ]

    def test_resnet_is_one_block(self):
        assert len(drawn(trunk_model("resnet"))) == 4

    def test_mixture_of_experts(self):
        found = drawn(two_task_model(architecture="mmoe"))
        assert found["sharing", "gate.click"] == [("sharing", "experts"), ("trunk", "")]
        assert found["heads", "click"] == [("sharing", "gate.click")]

    def test_model_of_someone_else(self):
        """What several outputs depend on is the trunk; the rest is heads."""
        x = keras.Input((8,), name="x")
        hidden = keras.layers.Dense(16)(x) + 1.0
        upper = keras.layers.Dense(8)(hidden)
        outputs = {
            "u": keras.layers.Dense(1)(upper),
            "v": keras.layers.Dense(2)(hidden),
            "w": keras.layers.Dense(3)(upper),
        }
        found = drawn(keras.Model(x, outputs))
        assert found["trunk", ""] == [("inputs", "x")]
        assert found["trunk", "for u, w"] == [("trunk", "")]
        assert found["heads", "v"] == [("trunk", "")]
        assert found["heads", "w"] == [("trunk", "for u, w")]

    def test_list_of_outputs_and_a_nested_model(self):
        inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
        inner.name = "backbone"
        x = keras.Input((3,), name="x")
        hidden = inner(x)
        model = keras.Model(x, [keras.layers.Dense(1)(hidden) for _ in range(2)])
        (trunk,) = [one for one in blocks(model) if one.part == "trunk"]
        assert lines_of(trunk, model) == ["trunk", "backbone 4", "16 parameters"]

    def test_part_that_is_entered_twice_is_two_blocks(self):
        """Lines only ever go to the right, so a block can't feed its own source."""
        x = keras.Input((3,), name="x")
        first = keras.layers.Dense(4, name="trunk.dense_1")(x)
        mixed = keras.layers.Dense(4, name="sharing.stitch")(first)
        second = keras.layers.Dense(4, name="trunk.dense_2")(mixed)
        model = keras.Model(x, {"y": keras.layers.Dense(1, name="heads.y.out")(second)})
        parts = [one.part for one in blocks(model)]
        assert sorted(parts) == ["heads", "inputs", "sharing", "trunk", "trunk"]


class TestText:
    def test_head_names_its_task_and_width(self):
        model = two_task_model()
        (head, _) = [one for one in blocks(model) if one.part == "heads"]
        assert lines_of(head, model) == [
            "click: Binary",
            "Dense 64 → 1",
            "641 parameters",
        ]

    def test_many_inputs_are_counted(self):
        inputs = {f"x{index:02}": () for index in range(12)}
        model = mtlzoo.build(
            "shared_bottom", inputs=inputs, tasks=[TASKS["binary"]("y")]
        )
        (block,) = [one for one in blocks(model) if one.part == "inputs"]
        title, *lines = lines_of(block, model)
        assert title == "12 inputs"
        assert lines[-1] == "and 6 more"

    def test_copies_and_experts_are_counted(self):
        model = two_task_model(architecture="mmoe", num_experts=3)
        (bank,) = [one for one in blocks(model) if one.name == "experts"]
        assert "3 experts of width 64" in lines_of(bank, model)
        bank.copies = 2
        assert lines_of(bank, model)[0] == "2 \N{MULTIPLICATION SIGN} experts"


@pytest.mark.parametrize("architecture", ARCHITECTURES.list())
def test_blocks_of_every_architecture_keep_apart(architecture):
    example = ARCHITECTURES.entry(architecture).facts.get("example", "vector")
    trunk = {"image": "cnn", "sequence": "transformer"}.get(example, "mlp")
    model = two_task_model(
        architecture=architecture,
        inputs=INPUTS.get(example, INPUTS["vector"]),
        trunk=TRUNKS[trunk][1](),
    )
    places = layout(blocks(model), lambda block: (1.5, 0.7))
    for place in places:
        assert all(source.column < place.column for source in place.sources)
    for first, second in itertools.combinations(places, 2):
        wide = (first.width + second.width) / 2
        high = (first.height + second.height) / 2
        apart_x = abs(first.x - second.x) > wide
        apart_y = abs(first.y - second.y) > high
        assert apart_x or apart_y


def test_equal_neighbours_are_stacked():
    from mtlzoo.plot._tidy import tidy

    trunk, head = Block("trunk", ""), Block("heads", "y")
    layers = [keras.layers.Dense(2) for _ in range(3)]
    experts = [
        Block("sharing", f"expert_{index}", [layer], {trunk: None})
        for index, layer in enumerate(layers)
    ]
    head.parents = dict.fromkeys(experts)
    trunk.layers, head.layers = [keras.layers.Dense(1)], [keras.layers.Dense(1)]
    for layer in layers:
        layer.build((None, 2))
    (stack,) = [one for one in tidy([trunk, *experts, head]) if one.part == "sharing"]
    assert stack.copies == 3
    assert list(head.parents) == [stack]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_writes_a_picture(suffix, tmp_path):
    path = tmp_path / "pictures" / f"model.{suffix}"
    figure = two_task_model(architecture="mmoe").plot(path)
    assert isinstance(figure, Figure)
    assert path.stat().st_size > 1000


def test_refuses_a_model_without_a_graph():
    with pytest.raises(DataError, match="Only a functional Keras model can be drawn"):
        plot.model(keras.Sequential([keras.layers.Dense(1)]))


def test_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.textpath", None)
    with pytest.raises(MissingExtraError, match=r'pip install "mtlzoo\[plot\]"'):
        plot.model(two_task_model())
    with pytest.raises(MissingExtraError, match="Plotting needs matplotlib"):
        plot.history({"loss": [1.0]})
