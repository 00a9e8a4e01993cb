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
