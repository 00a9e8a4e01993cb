"""Files from mirrors: whole and as published, or not at all."""

import errno
import hashlib
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mtlzoo._bundles import _home
from mtlzoo._bundles._progress import Progress
from mtlzoo.errors import DownloadError

TIMEOUT = 30.0
"""Seconds without a byte, after which a server counts as hanging."""

WAITS = (1.0, 3.0)
"""Seconds before each further attempt at one mirror."""

CHUNK = 2**18
HOPELESS = (400, 401, 403, 404, 405, 410, 451)
"""Answers that a further attempt wouldn't change."""


def download(path: str, target: Path, *, sha256: str, size: int) -> None:
    """Fetch a file from the first mirror that has it as it was published.

    The file appears under its name in one step, after its hash was found right.

    Args:
        path: below a mirror's address, such as `mmoe.adult/1/config.json`.
        target: where to.
        sha256: that it must have.
        size: in bytes, that it must have.

    Raises:
        DownloadError: the network may not be used, no mirror has the file, or it
            can't be written; the message says what to do.
    """
    _prepare(target, size)
    reasons = []
    for mirror in _reachable(path, target):
        url = f"{mirror}/{quote(path)}"
        for wait in (0.0, *WAITS):
            time.sleep(wait)
            reason, hopeless = _attempt(url, target, sha256, size)
            if reason is None:
                return
            if hopeless:
                break
        reasons.append(f"{url}: {reason}")
    raise DownloadError(
        f"{path} can't be had from any mirror:\n  "
        + "\n  ".join(reasons)
        + "\nCheck MTLZOO_MIRRORS and the network, and try again; what was fetched "
        "before is kept."
    )


def download_small(path: str, *, limit: int) -> list[tuple[str, bytes]]:
    """Return the content of a file at each mirror that has it, by address.

    Raises:
        DownloadError: a mirror's answer is longer than `limit` bytes.
    """
    import requests

    found = []
    for mirror in _home.mirrors():
        url = f"{mirror}/{quote(path)}"
        content = b""
        try:
            with requests.get(
                url, timeout=TIMEOUT, headers=_headers(), stream=True
            ) as response:
                response.raise_for_status()
                for chunk in response.iter_content(CHUNK):
                    content += chunk
                    if len(content) > limit:
                        raise DownloadError(f"{url} has more than {limit:,} bytes.")
        except requests.RequestException:
            continue
        found.append((url, content))
    return found


def _prepare(target: Path, size: int) -> None:
    """Make the folder, and see that it can take the file."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
    except OSError as error:
        raise _unwritable(target, error) from error
    if free < size:
        raise _full(target, size, free)


def _reachable(path: str, target: Path) -> list[str]:
    if _home.offline():
        raise DownloadError(
            f"{path} is not at {str(target)!r}, and MTLZOO_OFFLINE forbids to fetch "
            "it. Where there is a network, run: mtlzoo fetch NAME --to DIR, and carry "
            "DIR here as MTLZOO_HOME."
        )
    if not (found := _home.mirrors()):
        raise DownloadError(
            f"{path} does not come with this installation, and no mirror is known. Set "
            "MTLZOO_MIRRORS to the address of a folder of bundles, such as "
            "https://example.org/models"
        )
    return found


def _attempt(url: str, target: Path, sha256: str, size: int) -> tuple[str | None, bool]:
    """Fetch once; return what went wrong, if anything, and whether it always will."""
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)  # we say ourselves what goes on
    fetch = pooch.HTTPDownloader(
        progressbar=Progress(url, size, CHUNK),
        chunk_size=CHUNK,
        timeout=TIMEOUT,
        # A server that packs the answer would make the sizes lie.
        headers={"Accept-Encoding": "identity", **_headers()},
    )
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}",
            fname=target.name,
            path=target.parent,
            downloader=fetch,
        )
    except requests.HTTPError as error:
        response: Any = error.response
        status = response.status_code
        reason = f"{status} {response.reason}"
        if status in (401, 403):
            reason += "; give a password in ~/.netrc, or a header in MTLZOO_HEADER"
        return reason, status in HOPELESS
    except requests.Timeout:
        return f"no answer within {TIMEOUT:g} seconds", False
    except requests.RequestException as error:
        return f"{type(error).__name__}: the connection failed or broke", False
    except DownloadError as error:
        return str(error), True
    except ValueError:
        return f"not the published file: its sha256 isn't {sha256}", False
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(target.parent).free
            raise _full(target, size, free) from error
        raise _unwritable(target, error) from error
    return None, False


def is_sound(path: Path, sha256: str, size: int) -> bool:
    """Return whether the file at `path` is the published one."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != size:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _headers() -> dict[str, str]:
    """Return the header for private mirrors; requests reads ~/.netrc by itself."""
    text = os.environ.get("MTLZOO_HEADER", "")
    name, colon, value = text.partition(":")
    if text and not (colon and name.strip() and value.strip()):
        raise DownloadError(
            "MTLZOO_HEADER must be one header, such as 'Authorization: Bearer ...'."
        )
    return {name.strip(): value.strip()} if text else {}


def _full(target: Path, size: int, free: int) -> DownloadError:
    return DownloadError(
        f"The disk of {str(target.parent)!r} is full: {target.name} needs {size:,} "
        f"bytes, and {free:,} are free. Make room (mtlzoo cache prune), or set "
        "MTLZOO_HOME to a folder elsewhere."
    )


def _unwritable(target: Path, error: Any) -> DownloadError:
    return DownloadError(
        f"Can't write {str(target)!r}: {error.strerror or error}. Set MTLZOO_HOME to a "
        "folder that you may write in."
    )
