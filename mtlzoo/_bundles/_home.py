"""Where bundles lie on this machine, and where else they may come from."""

import os
from pathlib import Path

from mtlzoo.errors import DownloadError

PACKAGE = Path(__file__).parent.parent


def project_models() -> Path:
    """Return the folder of the bundles that come with mtlzoo.

    An installed package has them inside; in a checkout, and where it is installed as
    editable, they are the folder `models` beside it.
    """
    inside = PACKAGE / "_models"
    return inside if inside.is_dir() else PACKAGE.parent / "models"


def cache() -> Path:
    """Return the folder of downloaded bundles: that of `MTLZOO_HOME`, or the user's."""
    if chosen := os.environ.get("MTLZOO_HOME"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("mtlzoo"))


def mirrors() -> list[str]:
    """Return the addresses in `MTLZOO_MIRRORS`, first choice first.

    Raises:
        DownloadError: one is not an address of the web.
    """
    found = os.environ.get("MTLZOO_MIRRORS", "").replace(",", " ").split()
    for one in found:
        if not one.startswith(("https://", "http://")):
            raise DownloadError(
                "MTLZOO_MIRRORS must hold addresses that begin with https:// or "
                f"http://, parted by spaces. Received: {one!r}."
            )
    return [one.rstrip("/") for one in found]


def offline() -> bool:
    """Return whether `MTLZOO_OFFLINE` forbids to use the network."""
    return os.environ.get("MTLZOO_OFFLINE", "").lower() not in ("", "0", "false", "no")
