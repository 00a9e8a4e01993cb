from pathlib import Path

from mtlzoo import _bundles
from mtlzoo._bundles import Bundle
from mtlzoo.errors import BundleError


def verify(
    name: str | Path, *, version: int | None = None, golden: bool = True
) -> Bundle:
    """Check all of a bundle that is on this machine.

    Every file is there and is the published one; the manifest lists all files; config,
    weights and golden rows are sound and fit each other; the SavedModel, if there is
    one, only computes.

    Args:
        name: as for `load`.
        version: by default the newest.
        golden: whether the model must also answer the golden inputs as published.

    Returns:
        The bundle; its `info` is the manifest.

    Raises:
        BundleError: saying what is wrong.

    Example:

    ```python
    mtlzoo.hub.verify("mmoe.adult").info.license    # "CC-BY-4.0"
    ```
    """
    bundle = _bundles.find(name, version)
    bundle.verify()
    check_saved_models(bundle)
    model = _bundles.build_model(bundle)
    if golden:
        _bundles.check_golden(model, bundle)
    return bundle


def check_saved_models(bundle: Bundle) -> None:
    """Refuse a bundle whose SavedModel would do more than to compute.

    Raises:
        BundleError: naming the operations.
    """
    paths = [one.path for one in bundle.info.files]
    folders = {path.rpartition("/")[0] for path in paths if "saved_model.pb" in path}
    for folder in sorted(folders):
        from mtlzoo.export import scan

        if operations := scan(bundle.folder / folder):
            raise BundleError(
                f"The SavedModel of {bundle.info.name!r} does more than to compute: "
                f"{', '.join(sorted(operations))}. Serve it to nobody; none of it was "
                "run."
            )
