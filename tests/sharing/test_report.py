import numpy as np
import pytest
from by_hand import NAMES, bank, fill, gate, layer, mlp, rows, tiny

import mtlzoo
from mtlzoo import sharing, trunks
from mtlzoo.sharing import SharingTable

X = {"x": rows()}
TRUNK = {"trunk": mlp(4, 6)}


def test_gates_are_reported_as_their_mean_over_the_rows():
    model = fill(tiny("mmoe", num_experts=3, expert_units=(4,)))
    table = model.sharing_report(X)["gate"]
    assert table.readers == list(NAMES)
    assert table.sources == ["expert 1", "expert 2", "expert 3"]
    expected = [gate(model, f"gate.{task}", X["x"]).mean(axis=0) for task in NAMES]
    np.testing.assert_allclose(table.values, expected, atol=1e-6)
    assert table.sparsity == 0
    assert bank(model, "experts", X["x"]).shape == (5, 3, 4)


def test_experts_out_of_reach_are_blank():
    table = tiny("cgc", expert_units=(4,)).sharing_report(X)["gate"]
    assert table.sources == ["a 1", "a 2", "(shared) 1", "(shared) 2", "ab 1", "ab 2"]
    np.testing.assert_array_equal(
        np.isnan(table.values),
        [[False] * 4 + [True] * 2, [True] * 2 + [False] * 4],
    )
    np.testing.assert_allclose(np.nansum(table.values, axis=1), 1.0, atol=1e-5)


def test_common_parameters_are_counted():
    model = tiny("shared_bottom", trunk=mlp(4))
    table = model.sharing_report(X)["parameters"]
    shared, own = 3 * 4 + 4, 4 + 1
    np.testing.assert_array_equal(
        table.values, [[shared + own, shared], [shared, shared + own]]
    )
    alone = tiny("single_task", trunk=mlp(4)).sharing_report(X)
    np.testing.assert_array_equal(
        alone["parameters"].values, [[shared + own, 0], [0, shared + own]]
    )
    assert list(alone) == ["parameters"]


def test_what_a_trained_selection_leaves_out_counts_as_sparse():
    model = tiny("dselect_k", num_experts=4, k=1, expert_units=(4,))
    for task in NAMES:
        layer(model, f"gate.{task}").set_weights([np.array([1.0, -1.0]), np.zeros(1)])
    table = model.sharing_report(X)["gate"]
    np.testing.assert_array_equal(table.values, [[0, 1, 0, 0]] * 2)
    assert table.sparsity == 0.75


def test_mixing_matrices_connections_and_masks():
    stitches = fill(tiny("cross_stitch", **TRUNK)).sharing_report(X)
    assert list(stitches) == ["parameters", "stitch_1", "stitch_2"]
    assert stitches["stitch_1"].values.shape == (2, 2)
    sluice = tiny("sluice", **TRUNK).sharing_report(X)
    assert sluice["stitch_1"].readers == ["a 1", "a 2", "ab 1", "ab 2"]
    assert sluice["stages"].sources == ["stage 1", "stage 2"]
    nddr = tiny("nddr", **TRUNK).sharing_report(X)["fusion_1"]
    np.testing.assert_allclose(nddr.values, [[0.9, 0.1], [0.1, 0.9]], atol=1e-6)
    snr = tiny("snr_aver", num_experts=3, expert_units=(4,)).sharing_report(X)
    assert snr["level_1"].readers == [f"connections {one}" for one in (1, 2, 3)]
    np.testing.assert_allclose(snr["level_2.connections"].values, 0.5)
    pad = tiny("pad_net", units=4, **TRUNK).sharing_report(X)["mask"]
    assert np.isnan(pad.values[0, list(pad.sources).index("a")])
    attention = tiny("task_attention", units=4, **TRUNK).sharing_report(X)
    np.testing.assert_allclose(attention["attention"].values.sum(axis=1), 1.0, 1e-5)


def test_masks_of_mtan():
    model = tiny("mtan", inputs={"x": (8, 8, 1)}, trunk=trunks.CNN((4, 6)))
    table = model.sharing_report({"x": np.zeros((2, 8, 8, 1))})["mask"]
    assert table.sources == ["stage_1", "stage_2"]
    assert table.readers == list(NAMES)


def test_size_of_additions():
    film = tiny("film", **TRUNK)
    one = film.get_layer("sharing.film.dense_2.a")
    one.set_weights([np.full(6, 1.5), np.zeros(6)])
    table = film.sharing_report(X)["film"]
    assert table.sources == ["dense_1", "dense_2"]
    np.testing.assert_allclose(table.values, [[0.0, 0.5], [0.0, 0.0]], atol=1e-6)
    lora = tiny("task_lora", **TRUNK).sharing_report(X)["lora"]
    assert lora.sparsity == 1.0


@pytest.mark.parametrize("name", ["soft_sharing", "trace_norm"])
def test_likeness_of_networks(name):
    model = tiny(name, **TRUNK)
    for index in (1, 2):
        model.get_layer(f"trunk.ab.dense_{index}").set_weights(
            [-one for one in model.get_layer(f"trunk.a.dense_{index}").get_weights()]
        )
    table = model.sharing_report(X)["weights"]
    np.testing.assert_allclose(table.values, [[1, -1], [-1, 1]], atol=1e-5)


def test_tables_print_and_the_function_is_public():
    table = SharingTable("use", ["a"], ["x", "long"], np.array([[0.0, np.nan]]))
    assert str(table).splitlines() == ["use, sparsity 1.00", "   x  long", "a  0     -"]
    model = tiny("omoe", expert_units=(4,))
    assert list(sharing.sharing_report(model, X)) == list(model.sharing_report(X))
    assert "sharing" in mtlzoo.__all__


@pytest.mark.parametrize("name", ["ple", "cross_stitch", "single_task"])
def test_picture(name, tmp_path):
    pytest.importorskip("matplotlib")
    from mtlzoo.plot._sharing import sharing as draw

    options = {"expert_units": (4,)} if name == "ple" else TRUNK
    model = tiny(name, **options)
    figure = draw(model, X, tmp_path / "sharing.png")
    assert (tmp_path / "sharing.png").stat().st_size > 1000
    report = model.sharing_report(X)
    titles = [panel.get_title().splitlines()[0] for panel in figure.axes]
    assert titles == list(report)
