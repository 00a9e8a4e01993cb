"""The errors that a caller may want to catch.

Each is also an error of Python's own, so code that knows nothing of mtlzoo still
catches it.
"""

__all__ = [
    "BundleError",
    "DataError",
    "DownloadError",
    "ExportError",
    "LabelError",
    "MTLZooError",
    "MissingExtraError",
    "ModelError",
    "OptionError",
    "TaskError",
    "UnknownNameError",
    "WeightsError",
]


class MTLZooError(Exception):
    """Base class of every error that mtlzoo raises on purpose."""


class UnknownNameError(MTLZooError, KeyError):
    """No entry of that name is registered; the message lists the closest ones."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which hides line breaks.
        return str(self.args[0]) if self.args else ""


class OptionError(MTLZooError, TypeError):
    """An option that the chosen architecture, trunk or method does not have."""


class TaskError(MTLZooError, ValueError):
    """A task, or a set of tasks, that can't be built on this model."""


class LabelError(MTLZooError, ValueError):
    """Labels that break their task's contract: name, shape, type or range."""


class DataError(MTLZooError, ValueError):
    """Inputs or data sets that don't fit the model, or can't be had here."""


class ExportError(MTLZooError, RuntimeError):
    """An export that could not be written, or did not pass its own check."""


class BundleError(MTLZooError, RuntimeError):
    """A bundle that is incomplete, altered, or not of this model."""


class DownloadError(MTLZooError, OSError):
    """A file that can't be fetched, or not be kept; the message says what to do."""


class ModelError(MTLZooError, ValueError):
    """Models that don't go together: to be averaged, or one to teach the other."""


class MissingExtraError(MTLZooError, ImportError):
    """An optional dependency is not installed; the message names the extra."""


class WeightsError(MTLZooError, ValueError):
    """Weights that are damaged, can't be had here, or don't fit the model."""
