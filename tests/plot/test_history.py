"""Curves of one run and of several."""

import keras
import pytest
from examples import two_task_data, two_task_model

from mtlzoo import plot
from mtlzoo.errors import DataError, UnknownNameError

RUN = {
    "buy_loss": [0.6, 0.5],
    "loss": [0.9, 0.8],
    "val_loss": [1.0, 0.9],
    "buy_auc": [0.7, 0.8],
}


def panels(figure):
    return {axes.get_title("left"): axes for axes in figure.axes if axes.axison}


def test_one_run():
    found = panels(plot.history(RUN))
    assert list(found) == ["loss", "buy_auc", "buy_loss"]
    training, validation = found["loss"].lines
    assert list(training.get_ydata()) == RUN["loss"]
    assert list(validation.get_ydata()) == RUN["val_loss"]
    assert list(training.get_xdata()) == [1, 2]
    assert training.get_color() == validation.get_color()
    assert training.get_linestyle() != validation.get_linestyle()


def test_what_fit_returns(tmp_path):
    model = two_task_model()
    x, y = two_task_data()
    history = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0)
    assert isinstance(history, keras.callbacks.History)
    figure = plot.history({"mine": history, "other": RUN}, tmp_path / "curves.png")
    assert len(panels(figure)["loss"].lines) == 4
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["mine", "other", "validation", "training"]
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_chosen_metrics_and_a_single_epoch():
    figure = plot.history({"one": {"loss": [1.0]}, "two": RUN}, metrics=["loss"])
    (axes,) = panels(figure).values()
    assert axes.lines[0].get_marker() == "o"


def test_refusals():
    with pytest.raises(DataError, match="history is empty"):
        plot.history({})
    with pytest.raises(DataError, match="must be what `fit` returned"):
        plot.history([1.0, 2.0])
    with pytest.raises(UnknownNameError, match="Did you mean 'buy_auc'"):
        plot.history(RUN, metrics=["buy_auk"])
