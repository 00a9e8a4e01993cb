"""The bar of `fit`."""

import pytest
import tensorflow as tf
from examples import two_task_data, two_task_model

from mtlzoo.callbacks import Progress


def test_leaves_one_line_on_standard_error(capsys):
    model = two_task_model()
    x, y = two_task_data()
    progress = Progress("me")
    options = {"epochs": 3, "validation_data": (x, y), "verbose": 0}
    model.fit(x, y, callbacks=[progress], **options)
    written = capsys.readouterr()
    assert written.out == ""
    (line,) = written.err.strip().splitlines()
    assert line.startswith("me ")
    assert "epoch 3/3" in line
    assert "val_loss" in line


@pytest.mark.parametrize(
    ("label", "shown"), [("me", "val_loss"), ("me" * 20, "epoch 1/1"), ("me" * 60, "")]
)
def test_a_narrow_terminal_shows_what_there_is_room_for(
    capsys, monkeypatch, label, shown
):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setenv("COLUMNS", "80")
    x, y = two_task_data()
    progress = Progress(label)
    two_task_model().fit(x, y, validation_data=(x, y), callbacks=[progress], verbose=0)
    written = capsys.readouterr().err
    assert shown in written
    assert ("val_loss" in written) == (shown == "val_loss")
    assert ("…" in written) == (not shown)


def test_where_there_is_no_terminal_nothing_is_cut_off(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    x, y = two_task_data()
    two_task_model().fit(x, y, verbose=0, callbacks=[Progress("me" * 30)])
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("me" * 30 + " ")
    assert "…" not in line


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data_of_unknown_length(capsys):
    x, y = two_task_data()
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).filter(lambda *_: True)
    two_task_model().fit(data, epochs=2, verbose=0, callbacks=[Progress()])
    assert "epoch 2/2" in capsys.readouterr().err


def test_closing_twice_is_harmless():
    progress = Progress()
    progress.close()
    progress.close()
