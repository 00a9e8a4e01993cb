import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtlzoo._extras import require
from mtlzoo._registry import unknown_name
from mtlzoo.errors import DataError, UnknownNameError
from mtlzoo.plot._figure import COLOURS, new_figure, save

WIDTH, HEIGHT = 3.4, 2.5  # of a panel, in inches
VALIDATION = "val_"


def history(
    histories: Any,
    path: str | Path | None = None,
    *,
    metrics: Sequence[str] | None = None,
) -> Any:
    """Draw the curves of one training run or of several, one panel a metric.

    Validation is a solid line, training a thin dashed one.

    Args:
        histories: what `fit` returned, or its `history`: metrics by name, one value an
            epoch. For several runs, a dict of them by label.
        path: where to write the picture; its suffix decides the format.
        metrics: the names of the metrics to draw, without `val_`. By default `loss`,
            and everything that the runs report of their tasks.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        DataError: there is nothing to draw.
        UnknownNameError: no run has a metric of that name.
        MissingExtraError: matplotlib is not installed.

    Example:

    ```python
    histories = {"mmoe": model.fit(data, epochs=5), "ple": other.fit(data, epochs=5)}
    mtlzoo.plot.history(histories, "curves.png", metrics=["income_auc"])
    ```
    """
    runs = _runs(histories)
    known = list(
        dict.fromkeys(
            name.removeprefix(VALIDATION) for run in runs.values() for name in run
        )
    )
    if not known:
        raise DataError(
            "The history is empty: nothing was trained, so nothing is drawn."
        )
    names = list(metrics) if metrics is not None else _by_task(known)
    for name in names:
        if name not in known:
            raise UnknownNameError(unknown_name("metric in the history", name, known))
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    figure = new_figure(columns * WIDTH, rows * HEIGHT + 0.4)
    figure.set_layout_engine("constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel, name in zip(panels.flat, names, strict=False):
        _draw(panel, name, runs)
    for panel in panels.flat[len(names) :]:
        panel.set_axis_off()
    _draw_legend(figure, runs)
    save(figure, path)
    return figure


def _runs(histories: Any) -> dict[str, Mapping[str, Sequence[float]]]:
    """Return metrics by run, whichever of the accepted forms came."""
    histories = getattr(histories, "history", histories)
    if not isinstance(histories, Mapping):
        raise DataError(
            "`histories` must be what `fit` returned, or a dict of that by label. "
            f"Received: {histories!r}."
        )
    runs: dict[str, Any] = {
        str(label): getattr(run, "history", run) for label, run in histories.items()
    }
    if any(isinstance(run, Mapping) for run in runs.values()):
        return runs
    return {"": histories}


def _by_task(names: list[str]) -> list[str]:
    """Put the loss first, and what belongs to a task together."""
    return sorted(names, key=lambda name: (name != "loss", name.endswith("_loss")))


def _draw(panel: Any, name: str, runs: Mapping[str, Any]) -> None:
    for index, run in enumerate(runs.values()):
        colour = COLOURS[index % len(COLOURS)]
        for key, style in (
            (name, {"linestyle": (0, (3, 2)), "linewidth": 1.0}),
            (VALIDATION + name, {"linestyle": "-", "linewidth": 1.8}),
        ):
            if values := run.get(key):
                epochs = range(1, len(values) + 1)
                marker = "o" if len(values) == 1 else None
                panel.plot(epochs, values, color=colour, marker=marker, **style)
    panel.set_title(name, fontsize=10, loc="left")
    panel.set_xlabel("epoch", fontsize=8)
    panel.tick_params(labelsize=8)
    panel.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def _draw_legend(figure: Any, runs: Mapping[str, Any]) -> None:
    lines = require("matplotlib.lines", extra="plot", what="Plotting")
    handles = [
        lines.Line2D([], [], color=COLOURS[index % len(COLOURS)], lw=2, label=label)
        for index, label in enumerate(runs)
        if label
    ]
    if any(name.startswith(VALIDATION) for run in runs.values() for name in run):
        handles += [
            lines.Line2D([], [], color="#666666", lw=1.8, label="validation"),
            lines.Line2D(
                [], [], color="#666666", lw=1.0, ls=(0, (3, 2)), label="training"
            ),
        ]
    if handles:
        figure.legend(
            handles=handles,
            loc="outside upper left",
            ncols=len(handles),
            frameon=False,
            fontsize=9,
        )
