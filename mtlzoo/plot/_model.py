from pathlib import Path
from typing import Any

from mtlzoo._extras import require
from mtlzoo.errors import DataError
from mtlzoo.plot._blocks import blocks
from mtlzoo.plot._figure import COLOURS, new_figure, save
from mtlzoo.plot._layout import Place, layout
from mtlzoo.plot._text import lines_of

# Outline and fill of each part. Blue, orange and green of Okabe and Ito, and grey.
PARTS = {
    "inputs": ("#666666", "#F2F2F2"),
    "trunk": (COLOURS[0], "#DCEBF6"),
    "sharing": (COLOURS[4], "#FDF0D5"),
    "heads": (COLOURS[2], "#D8F0E8"),
}
TITLE, TEXT, LINE = 9.5, 8.0, 0.155  # points, points, inches
PADDING, MARGIN, STACK, HEADING = 0.11, 0.2, 0.045, 0.32  # inches


def model(model: Any, path: str | Path | None = None) -> Any:
    """Draw a model as blocks: inputs, trunk, sharing, and a head for each task.

    Blocks of a kind that stand side by side, such as experts, are drawn as one stack.

    Args:
        model: any functional Keras model. One that `mtlzoo.build` made shows its parts;
            of another, what several outputs depend on is drawn as the trunk.
        path: where to write the picture; its suffix, such as `.png` or `.svg`, decides
            the format.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        DataError: the model isn't functional, so it has no graph to draw.
        MissingExtraError: matplotlib is not installed.

    Example:

    ```python
    mtlzoo.plot.model(model, "model.png")
    ```
    """
    if not getattr(model, "inputs", None) or not hasattr(model, "output"):
        raise DataError(
            f"Only a functional Keras model can be drawn. Received: {model!r}."
        )
    texts = {block: lines_of(block, model) for block in blocks(model)}
    places = layout(list(texts), lambda block: _size(texts[block]))
    right = max(place.x + place.width / 2 for place in places)
    top = max(place.y + place.height / 2 for place in places)
    bottom = min(place.y - place.height / 2 for place in places)
    figure = new_figure(right + 2 * MARGIN, top - bottom + 2 * MARGIN + HEADING)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-MARGIN, right + MARGIN)
    axes.set_ylim(bottom - MARGIN, top + MARGIN + HEADING)
    for place in places:
        for source in place.sources:
            _draw_line(axes, source, place)
    for place in places:
        if place.block is not None:
            _draw_block(axes, place, texts[place.block])
    _draw_heading(axes, model, {block.part for block in texts}, top + HEADING)
    save(figure, path)
    return figure


def _size(lines: list[str]) -> tuple[float, float]:
    width = max(
        _inches(line, TEXT if index else TITLE, bold=index == 0)
        for index, line in enumerate(lines)
    )
    return width + 2 * PADDING, len(lines) * LINE + 2 * PADDING


def _inches(text: str, size: float, *, bold: bool) -> float:
    textpath = require("matplotlib.textpath", extra="plot", what="Plotting")
    fonts = require("matplotlib.font_manager", extra="plot", what="Plotting")
    font = fonts.FontProperties(weight="bold" if bold else "normal")
    extents = textpath.TextPath((0, 0), text, size=size, prop=font).get_extents()
    return float(extents.width) / 72


def _draw_block(axes: Any, place: Place, lines: list[str]) -> None:
    patches = require("matplotlib.patches", extra="plot", what="Plotting")
    block = place.block
    if block is None:
        return
    edge, fill = PARTS[block.part]
    left, bottom = place.x - place.width / 2, place.y - place.height / 2
    for depth in range(min(block.copies * block.num_experts, 3) - 1, -1, -1):
        axes.add_patch(
            patches.FancyBboxPatch(
                (left + depth * STACK, bottom + depth * STACK),
                place.width,
                place.height,
                boxstyle="round,pad=0,rounding_size=0.06",
                linewidth=1.2,
                edgecolor=edge,
                facecolor=fill,
                zorder=3 - depth * 0.1,
            )
        )
    top = place.y + place.height / 2 - PADDING - LINE / 2
    for index, line in enumerate(lines):
        axes.text(
            place.x,
            top - index * LINE,
            line,
            size=TEXT if index else TITLE,
            weight="normal" if index else "bold",
            color="#222222",
            ha="center",
            va="center",
            zorder=4,
        )


def _draw_line(axes: Any, source: Place, target: Place) -> None:
    patches = require("matplotlib.patches", extra="plot", what="Plotting")
    paths = require("matplotlib.path", extra="plot", what="Plotting")
    start = (source.x + source.width / 2, source.y)
    end = (target.x - target.width / 2, target.y)
    middle = (start[0] + end[0]) / 2
    points = [start, (middle, start[1]), (middle, end[1]), end]
    codes = [paths.Path.MOVETO, *[paths.Path.CURVE4] * 3]
    if target.block is None:  # pass straight through the column
        points.append((target.x + target.width / 2, target.y))
        codes.append(paths.Path.LINETO)
    axes.add_patch(
        patches.FancyArrowPatch(
            path=paths.Path(points, codes),
            arrowstyle="-" if target.block is None else "-|>",
            mutation_scale=8,
            linewidth=1.0,
            color="#888888",
            shrinkA=0,
            shrinkB=0,
            zorder=2,
        )
    )


def _draw_heading(axes: Any, model: Any, parts: set[str], y: float) -> None:
    lines = require("matplotlib.lines", extra="plot", what="Plotting")
    axes.text(
        0,
        y,
        f"{model.name} · {model.count_params():,} parameters",
        size=11,
        weight="bold",
        va="center",
    )
    handles = [
        lines.Line2D(
            [],
            [],
            linestyle="none",
            marker="s",
            markersize=8,
            markeredgecolor=edge,
            markerfacecolor=fill,
            label=part,
        )
        for part, (edge, fill) in PARTS.items()
        if part in parts
    ]
    axes.legend(
        handles=handles,
        loc="center right",
        bbox_to_anchor=(axes.get_xlim()[1] - MARGIN / 2, y),
        bbox_transform=axes.transData,
        borderpad=0,
        ncols=len(handles),
        frameon=False,
        fontsize=TEXT + 0.5,
        handletextpad=0.1,
        columnspacing=1.0,
    )
