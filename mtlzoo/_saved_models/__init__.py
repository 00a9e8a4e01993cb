"""SavedModels that others wrote: what they hold, seen without running any of it."""

from mtlzoo._saved_models._operations import know_text_operations
from mtlzoo._saved_models._scan import scan
from mtlzoo._saved_models._versions import versions

__all__ = ["know_text_operations", "scan", "versions"]
