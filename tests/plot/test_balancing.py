"""Weights over time, and which tasks conflict."""

import numpy as np
import pytest
from toys import data, toy

from mtlzoo import plot
from mtlzoo.callbacks import BalancingLog
from mtlzoo.errors import DataError


def history(tasks, epochs=3):
    random = np.random.default_rng(0)
    found = {"loss": list(random.uniform(size=epochs))}
    for index, task in enumerate(tasks):
        found[f"{task}_weight"] = list(1.0 + index * random.uniform(size=epochs))
        found[f"{task}_gradient_norm"] = list(random.uniform(size=epochs))
        for other in tasks[:index]:
            cosines = random.uniform(-1, 1, size=epochs)
            found[f"{other}_{task}_gradient_cosine"] = list(cosines)
    return found


def panels(figure):
    return {axes.get_title("left").split(";")[0]: axes for axes in figure.axes}


def test_a_log_and_its_history(tmp_path):
    x, y = data()
    model = toy("dwa")
    log = BalancingLog(every=2)
    trained = model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=[log])
    for source, times in ((log, [0, 2, 4, 6, 8, 10]), (trained, [1, 2, 3])):
        path = tmp_path / "picture.png"
        found = panels(plot.balancing(source, path))
        assert path.stat().st_size > 0
        lines = found["weight of each task"].lines
        assert [one.get_label() for one in lines] == ["click", "price", "hours"]
        assert list(lines[0].get_xdata()) == times
        shown = found["mean cosine of gradients"].images[0].get_array()
        name = "click_hours_gradient_cosine"
        expected = np.mean([one[name] for one in log.records])
        np.testing.assert_allclose([shown[0, 2], shown[2, 0]], expected)
        assert np.ma.getmaskarray(shown)[0, 0]


def test_many_tasks_have_colours_for_those_that_change_most():
    tasks = [f"task_{index}" for index in range(20)]
    figure = plot.balancing(history(tasks))
    curves = panels(figure)["weight of each task"]
    assert len(curves.lines) == 20
    assert len(curves.get_legend().get_texts()) == 7
    assert sum(one.get_color() != "#cccccc" for one in curves.lines) == 7
    assert not panels(figure)["mean cosine of gradients"].texts


def test_cosines_that_are_not_known():
    run = history(["one", "two", "three"])
    run["one_two_gradient_cosine"] = [np.nan, 0.5, 0.3]
    run["one_three_gradient_cosine"] = [np.nan] * 3
    run["three_weight"] = [np.nan] * 3
    matrix = panels(plot.balancing(run))["mean cosine of gradients"]
    assert [one.get_text() for one in matrix.texts][:2] == ["0.40", "n/a"]


def test_what_only_some_steps_had_labels_of_is_drawn():
    run = history(["one", "two", "three"])
    run["two_weight"] = [1.0, np.nan, 3.0]
    run["three_weight"] = [np.nan, 2.0, np.nan]
    _, two, three = panels(plot.balancing(run))["weight of each task"].lines
    assert list(two.get_xdata()) == [1, 3]
    assert list(three.get_ydata()) == [2.0]
    assert three.get_marker() == "o"


def test_weights_of_other_magnitudes():
    run = history(["one", "two"])
    run["one_weight"] = [0.01, 0.02, 0.03]
    for largest, scale in ((0.9, "linear"), (1.1, "log")):
        run["two_weight"] = [0.01, 0.02, largest]
        curves = panels(plot.balancing(run))["weight of each task"]
        assert curves.get_yscale() == scale
    run["one_weight"][0] = 0.0
    assert panels(plot.balancing(run))["weight of each task"].get_yscale() == "linear"


def test_one_epoch_is_one_tick():
    figures = [
        plot.balancing(history(["one", "two"], epochs=1)),
        plot.history({"loss": [0.5]}),
    ]
    for figure in figures:
        assert [one for one in figure.axes[0].get_xticks() if 0 < one < 2] == [1]


@pytest.mark.parametrize("count", [1, 2, 7, 15])
def test_names_of_any_length_leave_room_and_hide_nothing(count):
    tasks = [f"task_{index}_{'of_the_next_months_' * 4}end" for index in range(count)]
    figure = plot.balancing(history(tasks))
    figure.draw_without_rendering()
    curves, matrix, _ = figure.axes
    labels = [one.get_text() for one in matrix.get_yticklabels()]
    assert labels[0] == "task_0_of_th\u2026_months_end"
    assert len(set(labels)) == count
    drawn, page = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x0 >= 0
    assert drawn.x1 <= page.x1
    assert drawn.y0 >= 0
    assert drawn.y1 <= page.y1
    assert matrix.bbox.height > figure.dpi * 1.9
    assert curves.get_legend().get_window_extent().x0 > curves.bbox.x1 - 1


def test_a_name_that_begins_with_an_underscore():
    curves = panels(plot.balancing(history(["_", "two"])))["weight of each task"]
    names = [one.get_text() for one in curves.get_legend().get_texts()]
    assert names == ["\u200b_", "two"]


def test_names_that_differ_in_their_middle_are_shown_whole():
    tasks = [f"{'a' * 20}_{index}_{'b' * 20}" for index in range(2)]
    matrix = panels(plot.balancing(history(tasks)))["mean cosine of gradients"]
    assert [one.get_text() for one in matrix.get_yticklabels()] == tasks


def test_what_has_no_weights():
    with pytest.raises(DataError, match="There are no weights of tasks to draw"):
        plot.balancing({"loss": [0.5]})
    with pytest.raises(DataError, match="There are no weights of tasks to draw"):
        plot.balancing(BalancingLog())
    with pytest.raises(DataError, match="`log` must be a BalancingLog"):
        plot.balancing(3)
