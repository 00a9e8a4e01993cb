from pathlib import Path
from typing import Any

import numpy as np

from mtlzoo._registry import DATASETS
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._fashion_mnist import CLASSES
from mtlzoo.datasets._garments import read_garments
from mtlzoo.datasets._split import random_integers
from mtlzoo.errors import DataError
from mtlzoo.features import Image
from mtlzoo.tasks import Multiclass

CANVAS = 36
GARMENT = 28
OFFSET = 6


@DATASETS.register(
    "multi_fashion",
    kind="image",
    rows=70_000,
    licence="MIT",
    source="https://github.com/zalandoresearch/fashion-mnist",
    needs="the Debian package dataset-fashion-mnist, TFDS, or the IDX files",
)
def multi_fashion(
    *,
    size: int = CANVAS,
    seed: int = 0,
    data_dir: str | Path | None = None,
    download: bool = False,
) -> Dataset:
    """Multi-Fashion: two garments overlaid in one picture, a task for each.

    The recipe of MultiMNIST (Sener & Koltun 2018), with the pictures of Fashion-MNIST.
    On a canvas of 36x36 pixels, one garment stands at rows and columns 0 to 27, the
    other at 6 to 33; where they overlap, the brighter pixel shows. Each picture of a
    split is the left garment once; its partner is drawn at random from the same split,
    so no picture is in two splits. Made anew at each load, the same for each seed.

    Tasks: `left` and `right`, ten classes each. The input is `image`, pixels 0 to 255.
    Training has 55,000 rows, validation 5,000 and test 10,000.

    Args:
        size: of the picture in pixels: 36, the canvas as it is, or 28, the canvas
            shrunk to the nearest pixel as in the authors' loader.
        seed: of the choice of partners.
        data_dir: as for `fashion_mnist`.
        download: as for `fashion_mnist`.

    Raises:
        DataError: the data is not on this machine, or `size` is another number.

    Reference: Ozan Sener and Vladlen Koltun, *Multi-Task Learning as Multi-Objective
    Optimization*, NeurIPS 2018, <https://arxiv.org/abs/1810.04650>.

    Differences from the authors' code: garments in place of digits; 36x36 by default;
    no normalisation by mean and deviation, for the model scales pixels itself; 5,000
    pairs are set aside for validation.
    """
    if size not in (CANVAS, GARMENT):
        raise DataError(f"`size` must be {CANVAS} or {GARMENT}. Received: size={size}.")
    splits = {}
    for number, (split, (images, labels)) in enumerate(
        read_garments(data_dir, download).items()
    ):
        partner = random_integers(len(images), (seed, number)) % len(images)
        pictures = shrink(overlay(images, images[partner]), size)
        splits[split] = (
            {"image": pictures},
            {"left": labels, "right": labels[partner]},
        )
    return Dataset(
        "multi_fashion",
        splits,
        inputs={"image": Image((size, size, 1))},
        tasks=[Multiclass("left", CLASSES), Multiclass("right", CLASSES)],
    )


def overlay(left: Any, right: Any) -> Any:
    """Return canvases `(rows, 36, 36, 1)` with one garment of each array on them.

    Args:
        left: pictures `(rows, 28, 28, 1)`, placed at the upper left.
        right: pictures `(rows, 28, 28, 1)`, placed 6 pixels below and to the right.
    """
    canvas = np.zeros((len(left), CANVAS, CANVAS, 1), left.dtype)
    canvas[:, :GARMENT, :GARMENT] = left
    place = canvas[:, OFFSET : OFFSET + GARMENT, OFFSET : OFFSET + GARMENT]
    np.maximum(place, right, out=place)
    return canvas


def shrink(pictures: Any, size: int) -> Any:
    """Return square pictures resized to `size`, each pixel the nearest old one's."""
    old = pictures.shape[1]
    nearest = ((np.arange(size) + 0.5) * old / size).astype("int64")
    return pictures[:, nearest[:, np.newaxis], nearest]
