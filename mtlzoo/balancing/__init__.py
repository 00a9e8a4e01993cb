"""Balancing: how the tasks of one model share each update."""

from mtlzoo.balancing._base import Balancing, Weighting
from mtlzoo.balancing._get import get
from mtlzoo.balancing.weighting import Equal

__all__ = [
    "Balancing",
    "Equal",
    "Weighting",
    "get",
]
