from pathlib import Path

import numpy as np

from mtlzoo._registry import DATASETS
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._garments import read_garments
from mtlzoo.datasets._photos import as_photos, check_size
from mtlzoo.errors import DataError
from mtlzoo.features import Image
from mtlzoo.tasks import Binary, Multiclass

CLASSES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]
GROUPS = ["top", "bottom", "dress or coat", "footwear", "bag"]
GROUP_OF_CLASS = np.array([0, 1, 0, 2, 2, 3, 0, 3, 4, 3], "int32")


@DATASETS.register(
    "fashion_mnist",
    kind="image",
    rows=70_000,
    licence="MIT",
    source="https://github.com/zalandoresearch/fashion-mnist",
    needs="the Debian package dataset-fashion-mnist, TFDS, or the IDX files",
)
def fashion_mnist(
    *,
    photo_size: int | None = None,
    every: int = 1,
    data_dir: str | Path | None = None,
    download: bool = False,
) -> Dataset:
    """Fashion-MNIST: 70,000 grey pictures of garments, 28x28 pixels.

    Tasks:

    - `class`, ten classes, the data set's own;
    - `group`, five classes, made from it: top (T-shirt/top, pullover, shirt), bottom
      (trouser), dress or coat, footwear (sandal, sneaker, ankle boot), bag;
    - `footwear`, binary: whether the group is footwear (30 % of rows).

    The second and third follow from the first, so the tasks are closely related. The
    input is `image`, pixels 0 to 255. The test split is that of the authors (10,000
    rows); of their training file, 5,000 rows are for validation and 55,000 for
    training. Rows come in the same order from every source.

    Args:
        photo_size: height and width in pixels to which the pictures are enlarged, with
            three equal channels, for bases that were trained on photos; `None` leaves
            them as they are.
        every: which pictures are kept: each one, each second, ... of every split. All
            of them enlarged to 96 pixels take 2 GB.
        data_dir: a folder that holds the four IDX files, or a data folder of TFDS. By
            default the folder that the environment variable `MTLZOO_FASHION_MNIST`
            names; else the data folder of TFDS, then the files of the Debian package
            `dataset-fashion-mnist`.
        download: whether to let TFDS download what is not there.

    Raises:
        DataError: the data is not on this machine, or damaged; or an option is out of
            its range.

    Reference: Han Xiao, Kashif Rasul and Roland Vollgraf, *Fashion-MNIST: a Novel Image
    Dataset for Benchmarking Machine Learning Algorithms*, 2017,
    <https://arxiv.org/abs/1708.07747>.
    """
    check_size(photo_size)
    if every < 1:
        raise DataError(f"`every` must be at least 1. Received: every={every}.")
    splits = {}
    for split, (images, labels) in read_garments(data_dir, download).items():
        images, labels = images[::every], labels[::every]
        if photo_size is not None:
            images = as_photos(images, photo_size)
        group = GROUP_OF_CLASS[labels]
        y = {
            "class": labels,
            "group": group,
            "footwear": group == GROUPS.index("footwear"),
        }
        splits[split] = ({"image": images}, y)
    return Dataset(
        "fashion_mnist",
        splits,
        inputs={"image": Image(splits["train"][0]["image"].shape[1:])},
        tasks=[
            Multiclass("class", CLASSES),
            Multiclass("group", GROUPS),
            Binary("footwear"),
        ],
    )
