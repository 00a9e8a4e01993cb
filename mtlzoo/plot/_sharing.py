from pathlib import Path
from typing import Any

import numpy as np

from mtlzoo.plot._figure import new_figure, save
from mtlzoo.sharing import SharingTable

CELL = 0.55  # of a table, in inches
LABEL = 1.6  # room for the names of the rows, in inches
COLUMNS = 3  # panels side by side


def sharing(model: Any, x: Any, path: str | Path | None = None) -> Any:
    """Draw how the tasks of a model share: a panel for each table of the report.

    Rows are who reads, columns what is read; the darker, the more. What is out of a
    reader's reach is left blank. See `MultiTaskModel.sharing_report`.

    Args:
        model: a `MultiTaskModel`.
        x: inputs as for `predict`; means are taken over these rows.
        path: where to write the picture; its suffix decides the format.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    report = model.sharing_report(x)
    columns = min(COLUMNS, len(report))
    rows = -(-len(report) // columns)
    widest = max(len(table.sources) for table in report.values())
    tallest = max(len(table.readers) for table in report.values())
    figure = new_figure(
        columns * (max(widest * CELL, 1.8) + LABEL), rows * (tallest * CELL + LABEL)
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, (place, table) in zip(panels, report.items(), strict=False):
        _draw(panel, place, table)
    for panel in panels[len(report) :]:
        panel.remove()
    figure.suptitle(f"How the tasks of {model.name} share")
    figure.tight_layout()
    save(figure, path)
    return figure


def _draw(panel: Any, place: str, table: SharingTable) -> None:
    values = np.ma.masked_invalid(table.values)
    # Mixing weights may be negative, so colours show magnitudes and the text the sign.
    sizes = np.abs(values)
    largest = float(sizes.max()) or 1.0
    panel.imshow(sizes, cmap="Blues", vmin=0, vmax=largest)
    panel.set_title(f"{place}\n{table.quantity}", fontsize=8)
    panel.set_xticks(range(len(table.sources)), table.sources, rotation=45, ha="right")
    panel.set_yticks(range(len(table.readers)), table.readers)
    panel.tick_params(labelsize=7, length=0)
    for (row, column), value in np.ndenumerate(table.values):
        if not np.isnan(value):
            panel.text(
                column,
                row,
                _text(value),
                ha="center",
                va="center",
                fontsize=6,
                color="white" if abs(value) > 0.6 * largest else "black",
            )


def _text(value: float) -> str:
    """Return a number in at most five characters: 0.41, -0.03, 12k, 3.4M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.2g}"
