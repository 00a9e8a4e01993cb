"""Small pictures in the size and channels that a base for photos takes."""

from typing import Any

import numpy as np

from mtlzoo.errors import DataError


def check_size(photo_size: int | None) -> None:
    """Refuse a size that isn't one.

    Raises:
        DataError: saying so.
    """
    if photo_size is not None and photo_size < 1:
        raise DataError(
            f"`photo_size` must be at least 1, or None for the pictures as they are. "
            f"Received: photo_size={photo_size}."
        )


def as_photos(images: Any, size: int) -> Any:
    """Return pictures resized with straight lines between pixels, in three channels.

    It is what `keras.layers.Resizing` does, but for rounding to whole pixel values, and
    the same on every machine.

    Args:
        images: uint8, shape `(rows, height, width, channels)`, of one channel or three.
        size: height and width of the photos in pixels.

    Returns:
        uint8, shape `(rows, size, size, 3)`.
    """
    rows, columns = (_weights(side, size) for side in images.shape[1:3])
    photos = np.empty((len(images), size, size, 3), "uint8")
    for start in range(0, len(images), 256):  # a few at a time, for memory's sake
        part = images[start : start + 256].astype("float32")
        part = np.einsum("ih,nhwc,jw->nijc", rows, part, columns, optimize=True)
        photos[start : start + 256] = np.rint(part)
    return photos


def _weights(old: int, new: int) -> Any:
    """Return what each new pixel of a line takes of each old one, `(new, old)`."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(old))).astype(
        "float32"
    )
