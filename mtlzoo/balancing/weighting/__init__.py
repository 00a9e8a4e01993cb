"""Weightings: from the losses of the tasks to one loss."""

from mtlzoo.balancing.weighting._equal import Equal

__all__ = [
    "Equal",
]
