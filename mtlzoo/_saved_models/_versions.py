import re
from pathlib import Path


def versions(base: Path) -> dict[int, Path]:
    """Return the versions in `base`, ascending. The server takes `0003` for 3."""
    found = (
        (int(child.name), child)
        for child in (base.iterdir() if base.is_dir() else ())
        if re.fullmatch(r"[0-9]+", child.name)
    )
    return dict(sorted(found))
