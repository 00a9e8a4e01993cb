"""Every architecture exports, and every signature answers what the model says.

Written and read as `saved_model` and the server do it, in one process to be quick.
"""

import pytest
from examples import INPUTS, TRUNKS, raw_inputs, two_task_model

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.export import ExportedModel
from mtlzoo.export._compare import compare
from mtlzoo.export._offer import Offer

TRUNK_OF = {"image": "cnn", "sequence": "transformer"}


@pytest.mark.parametrize("name", ARCHITECTURES.list())
def test_exports(name, tmp_path):
    example = ARCHITECTURES.entry(name).facts.get("example")
    inputs = example if example in TRUNK_OF else "vector"
    trunk = TRUNKS[TRUNK_OF.get(inputs, "mlp")][1]()
    model = two_task_model(architecture=name, inputs=INPUTS[inputs], trunk=trunk)
    offer = Offer(model)
    offer.write(tmp_path / "1")
    golden = offer.inputs(raw_inputs(inputs, rows=3))
    expected = offer.expected(golden)
    assert set(expected["serving_default"]) == set(model.output)
    with ExportedModel(tmp_path / "1") as exported:
        assert set(exported.signatures) == set(offer.forms) == set(expected)
        answers = {}
        for signature, form in offer.forms.items():
            first = {key: rows[:1] for key, rows in golden[form].items()}
            for suffix, rows in (("", golden[form]), ("/0", first)):
                for output, array in exported(rows, signature).items():
                    answers[f"{signature}/{output}{suffix}"] = array
    compare(expected, answers, 1e-5)
