"""What keras_hub makes of a preset, and why it can't, in words of ours."""

from pathlib import Path
from typing import Any

from mtlzoo._registry import did_you_mean
from mtlzoo.errors import DownloadError, MTLZooError, UnknownNameError, WeightsError
from mtlzoo.trunks._pretrained._base import Request
from mtlzoo.trunks._pretrained._weights_file import first_line, load_weights


def check_name(hub: Any, name: str) -> None:
    """Refuse a name that keras_hub doesn't know.

    Raises:
        UnknownNameError: naming close ones.
    """
    known = hub.models.Backbone.presets
    if "://" not in name and name not in known:
        raise UnknownNameError(
            f"There is no preset of keras_hub {name!r}.{did_you_mean(name, known)} "
            "keras_hub.models.Backbone.presets has them all. One of somebody's is "
            "written 'keras_hub/hf://user/model', one in a folder Path('folder')."
        )


def load_network(hub: Any, preset: str | Path, request: Request) -> Any:
    """Return the network of a preset, with the weights that are asked for.

    Raises:
        WeightsError: they don't fit, or the pictures don't.
        DownloadError: the preset can't be downloaded.
    """
    size = request.image_size
    shape = {"image_shape": (*size, 3)} if size else {}
    own = request.weights == "pretrained"
    try:
        network = load(hub.models.Backbone, preset, load_weights=own, **shape)
    except WeightsError as error:
        made_for = _picture_size(hub, preset) if size else None
        if size is None or made_for is None or made_for == size:
            raise
        raise WeightsError(
            f"The network of {request.name!r} takes pictures of {made_for[0]} x "
            f"{made_for[1]} pixels. Received: {size[0]} x {size[1]}. Have them "
            f"resized: image_size={made_for}."
        ) from error
    if not own and request.weights is not None:
        load_weights(network, request)
    return network


def load(cls: Any, preset: str | Path, **options: Any) -> Any:
    """Return a part of a preset: `cls.from_preset` with clear errors.

    Raises:
        WeightsError: the preset is damaged, incomplete, or of another kind.
        DownloadError: it can't be downloaded.
    """
    try:
        return cls.from_preset(str(preset), **options)
    # What is damaged, missing or out of reach may raise almost anything.
    except Exception as error:
        reason = first_line(error)
        if isinstance(preset, Path):
            raise WeightsError(
                f"The preset in {str(preset)!r} can't be loaded: {reason}"
            ) from error
        if type(error) is OSError:  # of h5py, about a file that was downloaded
            raise WeightsError(
                f"The files of the preset {preset!r} are damaged: {reason}. Delete "
                "them where keras_hub keeps them, and get them again."
            ) from error
        raise DownloadError(
            f"The preset {preset!r} can't be had: {reason} Without a network, pass "
            "the folder of a preset: Path('folder')."
        ) from error


def _picture_size(hub: Any, preset: str | Path) -> tuple[int, int] | None:
    """Return the height and width that a network is made for, if it says so."""
    try:
        network = load(hub.models.Backbone, preset, load_weights=False)
    except MTLZooError:
        return None
    height, width = network.inputs[0].shape[1:3]
    return (height, width) if height and width else None
