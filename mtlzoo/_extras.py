"""Optional dependencies, imported when something needs them."""

import importlib
from typing import Any

from mtlzoo.errors import MissingExtraError


def require(module: str, *, extra: str, what: str) -> Any:
    """Return an imported module of an optional dependency.

    Args:
        module: such as `"matplotlib.figure"`.
        extra: the extra of mtlzoo that installs it.
        what: what needs it, to begin the message with.

    Raises:
        MissingExtraError: it isn't installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".", 1)[0]
        raise MissingExtraError(
            f"{what} needs {package}, which isn't installed. Install it by: "
            f'pip install "mtlzoo[{extra}]"'
        ) from error
