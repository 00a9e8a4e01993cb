import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtlzoo.errors import DataError
from mtlzoo.plot._figure import COLOURS, new_figure, save

HEIGHT, CURVES, CELL, MATRIX = 3.2, 4.2, 0.62, 7.5  # in inches; the last at most
LETTER = 0.07  # the width of one, in inches
LONGEST = 24  # name, in letters
NUMBERS = 12
"""Up to how many tasks the cells of the matrix hold their numbers."""
WIDE = 100
"""From which ratio of the largest weight to the least on their axis is logarithmic."""


def balancing(log: Any, path: str | Path | None = None) -> Any:
    """Draw the weights of the tasks over time, and how their gradients conflict.

    On the left each task's weight; on the right the mean cosine between each two tasks'
    gradients, over the whole training: below 0 (orange) they conflict, above 0 (purple)
    they agree. With more tasks than there are colours to tell apart, those whose
    weights change most have one. The axis is logarithmic where weights above 0 are a
    hundredfold apart. Long names are shortened in their middle.

    Args:
        log: a `mtlzoo.callbacks.BalancingLog` after `fit`, drawn by its steps; or the
            history of a `fit` with one, drawn by epochs.
        path: where to write the picture; its suffix decides the format.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        DataError: there are no weights of tasks in it.
        MissingExtraError: matplotlib is not installed.

    Example:

    ```python
    log = mtlzoo.callbacks.BalancingLog()
    model.fit(data, epochs=5, callbacks=[log])
    mtlzoo.plot.balancing(log, "balancing.png")
    ```
    """
    values, times, unit = _values(log)
    tasks = [
        name.removesuffix("_weight")
        for name in values
        if name.endswith("_weight")
        and f"{name.removesuffix('_weight')}_gradient_norm" in values
    ]
    if not tasks:
        raise DataError(
            "There are no weights of tasks to draw. Train with the callback: "
            "model.fit(..., callbacks=[mtlzoo.callbacks.BalancingLog()])."
        )
    names = _shortened(tasks)
    letters = LETTER * max(map(len, names))
    side = min(max(CELL * len(tasks), 2.0), MATRIX)
    height = max(HEIGHT, side + 0.64 * letters + 0.6)
    width = max(CURVES, 0.6 * height)
    figure = new_figure(width + side + 2 * letters + 2.2, height)
    figure.set_layout_engine("constrained")
    widths = [width + letters + 0.6, side + letters + 1.6]
    curves, matrix = figure.subplots(1, 2, gridspec_kw={"width_ratios": widths})
    _draw_weights(curves, tasks, names, values, times, unit)
    _draw_cosines(figure, matrix, names, _mean_cosines(tasks, values))
    save(figure, path)
    return figure


def _values(log: Any) -> tuple[dict[str, Any], list[int], str]:
    """Return values by name, when they were taken, and the unit of that."""
    records = getattr(log, "records", None)
    if records is not None:
        names = list(records[0]) if records else []
        values = {name: [one[name] for one in records] for name in names}
        return values, [int(one["step"]) for one in records], "step"
    history = getattr(log, "history", log)
    if not isinstance(history, Mapping):
        raise DataError(
            "`log` must be a BalancingLog, or the history of a `fit` with one. "
            f"Received: {log!r}."
        )
    length = max((len(one) for one in history.values()), default=0)
    return dict(history), list(range(1, length + 1)), "epoch"


def _mean_cosines(tasks: list[str], values: Mapping[str, Any]) -> Any:
    found = np.full((len(tasks), len(tasks)), np.nan)
    for i, task in enumerate(tasks):
        for j, other in enumerate(tasks[:i]):
            known = _finite(values[f"{other}_{task}_gradient_cosine"])
            found[i, j] = found[j, i] = known.mean()
    return found


def _finite(values: Any) -> Any:
    """Return the values that are known, NaN alone if there are none."""
    values = np.array(values, "float64")
    known = values[np.isfinite(values)]
    return known if len(known) else np.array([np.nan])


def _shortened(names: list[str]) -> list[str]:
    """Return names that fit, or all as they are if two would then be the same."""
    half = LONGEST // 2
    short = [
        one if len(one) <= LONGEST else f"{one[:half]}\u2026{one[1 - half :]}"
        for one in names
    ]
    return short if len(set(short)) == len(names) else names


def _draw_weights(
    panel: Any,
    tasks: list[str],
    names: list[str],
    values: Mapping[str, Any],
    times: Any,
    unit: str,
) -> None:
    times = np.array(times)
    weights = {task: np.array(values[f"{task}_weight"], "float64") for task in tasks}
    ranges = {task: np.ptp(_finite(weights[task])) for task in tasks}
    changing = sorted(tasks, key=lambda task: -ranges[task])[: len(COLOURS)]
    shown = [task for task in tasks if task in changing]
    for task, name in zip(tasks, names, strict=True):
        # Between two steps that had labels of the task a line is drawn all the same.
        known = np.isfinite(weights[task])
        panel.plot(
            times[known],
            weights[task][known],
            color=COLOURS[shown.index(task)] if task in shown else "#cccccc",
            linewidth=1.6 if task in shown else 0.8,
            zorder=2 if task in shown else 1,
            marker="o" if known.sum() == 1 else None,
            # A label that begins with an underscore would be left out of the legend.
            label=re.sub("^_", "\u200b_", name) if task in shown else None,
        )
    others = "" if len(shown) == len(tasks) else "; grey: the others"
    panel.set_title(f"weight of each task{others}", fontsize=10, loc="left")
    panel.set_xlabel(unit, fontsize=9)
    panel.tick_params(labelsize=8)
    panel.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    everything = _finite(np.concatenate(list(weights.values())))
    if 0 < WIDE * everything.min() < everything.max():
        panel.set_yscale("log")
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    # Beside the curves, which it would hide.
    panel.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _draw_cosines(figure: Any, panel: Any, names: list[str], cosines: Any) -> None:
    shown = np.ma.masked_invalid(cosines)
    image = panel.imshow(shown, cmap="PuOr", vmin=-1.0, vmax=1.0)
    # The diagonal, and where nothing is known: no shade of the colour map.
    panel.set_facecolor("#cccccc")
    size = 8 if len(names) <= NUMBERS else 6
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    panel.set_xticks(range(len(names)), names, fontsize=size, **slanted)
    panel.set_yticks(range(len(names)), names, fontsize=size)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    panel.set_title("mean cosine of gradients", fontsize=10, loc="left")
    if len(names) <= NUMBERS:
        for (row, column), value in np.ndenumerate(cosines):
            if row == column:
                continue
            text = "n/a" if np.isnan(value) else f"{value:.2f}"
            colour = "white" if abs(value) > 0.6 else "#222222"
            panel.text(
                column,
                row,
                re.sub("^-0.00$", "0.00", text),
                ha="center",
                va="center",
                fontsize=8,
                color=colour,
            )
    bar = figure.colorbar(image, ax=panel, fraction=0.046, pad=0.03)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8)
    labels = ["\u22121 conflict", "0", "1 agree"]
    bar.set_ticks([-1, 0, 1], labels=labels)
