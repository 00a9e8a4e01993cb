import keras
import numpy as np
import pytest
from examples import INPUTS, raw_inputs
from networks import images, moved, values, vectors

import mtlzoo
from mtlzoo import tasks, transfer
from mtlzoo.errors import OptionError


def test_features_are_taken_as_they_are():
    model, x, y = images()
    transfer.unfreeze(model)
    assert transfer.use_base(model, "feature") is model
    before = values(model, "trunk")
    model.fit(x, y, verbose=0)
    assert not moved(model, before)


def test_parameters_are_where_training_starts():
    model, x, y = vectors()
    transfer.freeze(model)
    before = values(model)
    transfer.use_base(model, "parameter")
    assert not moved(model, before)
    model.fit(x, y, verbose=0)
    assert {"trunk.dense_1/kernel", "trunk.dense_2/kernel"} <= moved(model, before)


def test_of_a_structure_nothing_is_kept_but_the_heads():
    model, x, y = images(balancing="uncertainty")
    model.fit(x, y, epochs=2, verbose=0)
    before = values(model)
    moments = [one for one in model.optimizer.variables if "momentum" in one.path]
    assert any(np.any(one) for one in moments)
    transfer.use_base(model, "structure")
    paths = moved(model, before)
    kernels = {
        one.path
        for one in model.variables
        if one.path.startswith("trunk") and one.path.endswith(("kernel", "moving_mean"))
    }
    assert kernels <= paths
    assert not any(path.startswith("heads") for path in paths)
    moments = [one for one in model.optimizer.variables if "momentum" in one.path]
    assert not any(np.any(one) for one in moments)
    stds = {  # drawn as those of a new model are
        float(np.std(model.get_layer(f"trunk.stage_{i}.block_1.second.conv").kernel))
        for i in (1, 2, 3)
    }
    for found, fan in zip(sorted(stds, reverse=True), (36, 72, 144), strict=True):
        assert found == pytest.approx(np.sqrt(2 / fan), rel=0.2)
    model.fit(x, y, verbose=0)


def test_what_is_known_of_the_inputs_stays():
    model = mtlzoo.build(
        "shared_bottom", inputs=INPUTS["table"], tasks=[tasks.Binary("click")]
    )
    layers = [
        one for one in model.layers if isinstance(one, keras.layers.Normalization)
    ]
    before = [[np.array(one) for one in layer.variables] for layer in layers]
    transfer.use_base(model, "structure")
    for layer, kept in zip(layers, before, strict=True):
        for one, old in zip(layer.variables, kept, strict=True):
            np.testing.assert_array_equal(one, old)
    model.predict(raw_inputs("table"), verbose=0)


def test_another_mode_is_refused():
    model, _, _ = vectors()
    with pytest.raises(
        OptionError, match=r"no mode 'features' of transfer. Did you me"
    ):
        transfer.use_base(model, "features")
