"""One metric as a small drawing: these weights, and a network for the task alone."""

from collections.abc import Callable
from html import escape

from mtlzoo._bundles import MetricInfo
from mtlzoo.hub._card import shown

WIDTH, EDGE = 150.0, 8.0


def plot(ours: MetricInfo, alone: MetricInfo | None) -> str:
    """Return an SVG with both on one axis, or nothing where there is one alone.

    Args:
        ours: of the bundle.
        alone: of a network for the task alone, if it was measured.
    """
    if alone is None:
        return ""
    values = [*_range(ours), *_range(alone)]
    low, high = min(values), max(values)
    # Numbers that are all but the same lie in the middle, not far apart.
    least = 1e-3 * max(abs(low), abs(high), 1e-9)
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2

    def place(value: float) -> float:
        return EDGE + (WIDTH - 2 * EDGE) * (value - low) / (high - low)

    label = f"these weights {shown(ours)}, alone {shown(alone)}"
    return (
        f'<svg viewBox="0 0 {WIDTH:.0f} 32" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>"
        f'<line class="axis" x1="0" x2="{WIDTH:.0f}" y1="16" y2="16"/>'
        f"{_spread(ours, place, 'ours', 9)}"
        f'<circle class="ours" cx="{place(ours.value):.1f}" cy="9" r="4"/>'
        f"{_spread(alone, place, 'alone', 23)}"
        f'<rect class="alone" x="{place(alone.value) - 3.5:.1f}" y="19.5" width="7" '
        'height="7"/></svg>'
    )


def _range(metric: MetricInfo) -> tuple[float, float, float]:
    mean = metric.value if metric.mean is None else metric.mean
    std = metric.std or 0.0
    return metric.value, mean - std, mean + std


def _spread(
    metric: MetricInfo, place: Callable[[float], float], name: str, y: int
) -> str:
    _, low, high = _range(metric)
    if not metric.std:
        return ""
    return (
        f'<line class="{name}" x1="{place(low):.1f}" x2="{place(high):.1f}" y1="{y}" '
        f'y2="{y}"/>'
    )
