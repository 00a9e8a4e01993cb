"""Every architecture exports, with all of its outputs under their names.

Written and read as `saved_model` and the server do it, in one process to be quick.
"""

import numpy as np
import pytest
from examples import INPUTS, TRUNKS, raw_inputs, two_task_model

from mtlzoo._registry import ARCHITECTURES
from mtlzoo.export import ExportedModel
from mtlzoo.export._saved_model import _write

TRUNK_OF = {"image": "cnn", "sequence": "transformer"}


@pytest.mark.parametrize("name", ARCHITECTURES.list())
def test_exports(name, tmp_path):
    example = ARCHITECTURES.entry(name).facts.get("example")
    inputs = example if example in TRUNK_OF else "vector"
    trunk = TRUNKS[TRUNK_OF.get(inputs, "mlp")][1]()
    model = two_task_model(architecture=name, inputs=INPUTS[inputs], trunk=trunk)
    _write(model, tmp_path / "1")
    x = raw_inputs(inputs, rows=3)
    expected = model.predict(x, verbose=0)
    with ExportedModel(tmp_path / "1") as exported:
        answers = exported(x)
        assert set(answers) == set(model.output)
        for output, values in expected.items():
            np.testing.assert_allclose(answers[output], values, atol=1e-5)
            alone = exported(x, f"task_{output}")
            np.testing.assert_allclose(alone[output], values, atol=1e-5)
