"""Every architecture exports, and every signature answers what the model says."""

import pytest
from examples import INPUTS, TRUNKS, raw_inputs, two_task_model
from offers import check_offer

from mtlzoo._registry import ARCHITECTURES

TRUNK_OF = {"image": "cnn", "sequence": "transformer"}


@pytest.mark.parametrize("name", ARCHITECTURES.list())
def test_exports(name, tmp_path):
    example = ARCHITECTURES.entry(name).facts.get("example")
    inputs = example if example in TRUNK_OF else "vector"
    trunk = TRUNKS[TRUNK_OF.get(inputs, "mlp")][1]()
    model = two_task_model(architecture=name, inputs=INPUTS[inputs], trunk=trunk)
    found = check_offer(model, raw_inputs(inputs, rows=3), tmp_path / "1")
    assert {"serving_default", "features", "examples", "classify_buy"} < set(found)
