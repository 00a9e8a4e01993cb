"""Figures that look alike."""

from pathlib import Path
from typing import Any

from mtlzoo._extras import require

# Okabe and Ito's colours, which people of all kinds of colour vision tell apart.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure; sizes in inches.

    It isn't pyplot's, so it is freed with its last reference and opens no window.
    """
    return require("matplotlib.figure", extra="plot", what="Plotting").Figure(
        figsize=(width, height), facecolor="white"
    )


def save(figure: Any, path: str | Path | None) -> None:
    """Write `figure` to `path`, if there is one; the suffix decides the format."""
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
