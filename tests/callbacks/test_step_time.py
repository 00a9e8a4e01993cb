"""The time of a step, without that of compiling it."""

import time

from mtlzoo.callbacks import StepTime


def timed(*epochs):
    """Return a timer that has seen steps of so many milliseconds, by epoch."""
    timer = StepTime()
    for epoch, steps in enumerate(epochs):
        timer.on_epoch_begin(epoch)
        for batch, milliseconds in enumerate(steps):
            timer.on_train_batch_begin(batch)
            time.sleep(milliseconds / 1000)
            timer.on_train_batch_end(batch)
    return timer


def test_the_first_step_compiles_and_does_not_count():
    assert timed().seconds == 0
    assert timed([30]).seconds == 0
    assert timed([30, 1]).seconds < 0.02
    assert timed([30, 30, 1]).seconds < 0.02
    assert timed([1, 1], [30]).seconds >= 0.03
