import fnmatch
from collections.abc import Iterable

from mtlzoo._bundles._index import Entry
from mtlzoo._bundles._locate import entries
from mtlzoo._bundles._sizes import size_in_bytes


def list_pretrained(
    pattern: str | Iterable[str] = "*",
    *,
    task: str | None = None,
    data: str | None = None,
    license: str | None = None,  # noqa: A002 (the word of the field)
    max_size: int | str | None = None,
) -> list[str]:
    """Return the names that `mtlzoo.load` takes, those that pass every filter.

    Args:
        pattern: a wildcard pattern, or several of which one must match.
        task: a name or a kind of task, such as `"income"` or `"binary"`.
        data: a data set that the weights were made from.
        license: a wildcard pattern over the SPDX expression of the weights, such as
            `"Apache-*"`.
        max_size: of all files, in bytes; or a text such as `"5 MB"`.

    Raises:
        OptionError: `max_size` is no size.

    Example:

    ```python
    mtlzoo.list_pretrained(task="binary", max_size="5 MB")
    ```
    """
    found = find_pretrained(
        pattern, task=task, data=data, license=license, max_size=max_size
    )
    return [one.name for one in found]


def find_pretrained(
    pattern: str | Iterable[str] = "*",
    *,
    task: str | None = None,
    data: str | None = None,
    license: str | None = None,  # noqa: A002
    max_size: int | str | None = None,
) -> list[Entry]:
    """Return the newest entry of each bundle that `list_pretrained` names."""
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    limit = None if max_size is None else size_in_bytes(max_size)
    newest = {one.name: one for one in entries()}

    def wanted(one: Entry) -> bool:
        words = {word for each in one.tasks for word in (each.name, each.kind)}
        return (
            any(fnmatch.fnmatchcase(one.name, each) for each in patterns)
            and (task is None or task in words)
            and (data is None or data in one.datasets)
            and (license is None or fnmatch.fnmatchcase(one.license, license))
            and (limit is None or one.size <= limit)
        )

    return [one for one in newest.values() if wanted(one)]
