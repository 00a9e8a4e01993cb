"""The one place that knows Keras's private names for the graph of a model.

These tests fail when Keras changes them.
"""

import keras
from examples import two_task_model

from mtlzoo._graph import carried_masks, mask_of, steps, without_masks


def test_each_step_comes_after_what_it_depends_on():
    model = two_task_model()
    known = set()
    for step in steps(model.outputs):
        assert {id(tensor) for tensor in step.inputs} <= known
        known |= {id(tensor) for tensor in step.outputs}
    assert {id(tensor) for tensor in model.outputs} <= known


def test_steps_are_the_layers_of_the_model():
    model = two_task_model()
    layers = [step.layer for step in steps(model.outputs)]
    assert len(layers) == len(model.layers)
    assert {id(layer) for layer in layers} == {id(layer) for layer in model.layers}


def test_layer_that_is_called_twice_is_two_steps():
    first, second = keras.Input((3,)), keras.Input((3,))
    dense = keras.layers.Dense(2)
    output = keras.ops.add(dense(first), dense(second))
    found = steps([output])
    assert [step.layer for step in found].count(dense) == 2
    assert found[-1].outputs[0] is output


def test_part_of_a_graph():
    model = two_task_model()
    names = [step.layer.name for step in steps([model.output["buy"]])]
    assert not any(name.startswith("heads.click") for name in names)


def test_deep_graph_needs_no_recursion():
    tensor = keras.Input((1,))
    for _ in range(1500):
        tensor = keras.ops.negative(tensor)
    assert len(steps([tensor])) == 1501


def test_masks_that_tensors_carry_are_no_steps_of_their_own():
    ids = keras.Input((None,), dtype="int32")
    tensor = keras.layers.Embedding(4, 2, mask_zero=True, name="embedding")(ids)
    assert mask_of(tensor) is not None
    output = keras.layers.LSTM(3, name="lstm")(tensor)
    found = steps([output])
    assert carried_masks(found[-1]) == ["mask"]
    kept = without_masks(found, [output])
    assert len(kept) == len(found) - 1
    assert [step.layer.name for step in kept[1:]] == ["embedding", "lstm"]
    assert kept[-1].inputs == [tensor]


def test_a_mask_of_another_tensor_is_a_step():
    tensor, mask = keras.Input((4, 2)), keras.Input((4,))
    output = keras.layers.LSTM(3)(tensor, mask=keras.ops.greater(mask, 0))
    found = steps([output])
    assert carried_masks(found[-1]) == []
    assert len(without_masks(found, [output])) == len(found) == 4
