import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtlzoo._registry import DATASETS
from mtlzoo.datasets._dataset import Dataset
from mtlzoo.datasets._emoji_files import ENVIRONMENT, reader
from mtlzoo.datasets._photos import as_photos, check_size
from mtlzoo.datasets._split import split_rows
from mtlzoo.errors import DataError
from mtlzoo.features import Image
from mtlzoo.tasks import Multiclass

SIZE = 64
TONES = {
    "1F3FB": "light",
    "1F3FC": "medium-light",
    "1F3FD": "medium",
    "1F3FE": "medium-dark",
    "1F3FF": "dark",
}
UNKNOWN = -1


class Emoji(NamedTuple):
    """One picture: its file, which emoji it is of, and its labels."""

    file: str
    group: int
    category: str
    subcategory: str
    tone: int


@DATASETS.register(
    "emoji",
    kind="image",
    rows=3_781,
    licence="CC BY 4.0 (pictures), MIT (package)",
    source="https://github.com/iamcal/emoji-data",
    needs="npm pack emoji-datasource-twitter@16.0.0, 62 MB",
)
def emoji(*, path: str | Path | None = None, photo_size: int | None = None) -> Dataset:
    """Twemoji: 3,781 drawn pictures in colour, 64x64 pixels, of 1,906 emoji.

    Tasks:

    - `category`, nine classes, such as "Food & Drink"; 60 % of the pictures are of
      "People & Body", since many of these come in several skin tones;
    - `subcategory`, 98 classes, such as "food-fruit", some of a few pictures only;
    - `skin_tone`, five classes, known of the 1,615 pictures that have one tone and
      missing (-1) on all others.

    The input is `image`, pixels 0 to 255 on white. The split is random and fixed, by
    emoji: 70 % training, 10 % validation and 20 % test. All tones of an emoji are in
    one split, but other emoji that look alike, such as a man and a woman who do the
    same, may be in several.

    Args:
        path: of the package, as packed (`emoji-datasource-twitter-16.0.0.tgz`) or as a
            folder. By default what the environment variable `MTLZOO_EMOJI` names, or
            else either of these in the working folder or its `node_modules`.
        photo_size: height and width in pixels to which the pictures are resized, for
            bases that were trained on photos; `None` leaves them as they are.

    Raises:
        DataError: the package is not on this machine, or another version of it; or
            `photo_size` is below 1.

    Reference: Cal Henderson, *emoji-data*, <https://github.com/iamcal/emoji-data>; the
    pictures are Twitter's *Twemoji*, <https://github.com/jdecked/twemoji>, CC BY 4.0.
    """
    check_size(photo_size)
    read = reader(path)
    found = list(_emoji(json.loads(read("emoji.json"))))
    files = [f"img/twitter/64/{one.file}" for one in found]
    images = np.stack([_decode(read(file)) for file in files])
    if photo_size is not None:
        images = as_photos(images, photo_size)
    categories = sorted({one.category for one in found})
    subcategories = sorted({one.subcategory for one in found})
    labels = {
        "category": np.array([categories.index(one.category) for one in found]),
        "subcategory": np.array(
            [subcategories.index(one.subcategory) for one in found]
        ),
        "skin_tone": np.array([one.tone for one in found]),
    }
    groups = np.array([one.group for one in found])
    splits = {}
    for split, members in split_rows(groups.max() + 1, (0.7, 0.1, 0.2), 0).items():
        rows = np.flatnonzero(np.isin(groups, members))
        splits[split] = (
            {"image": images[rows]},
            {task: values[rows] for task, values in labels.items()},
        )
    return Dataset(
        "emoji",
        splits,
        inputs={"image": Image(images.shape[1:])},
        tasks=[
            Multiclass("category", categories),
            Multiclass("subcategory", subcategories),
            Multiclass("skin_tone", list(TONES.values()), missing=UNKNOWN),
        ],
    )


def _emoji(table: list[dict[str, Any]]) -> Iterator[Emoji]:
    group = 0
    for entry in table:
        if entry["category"] == "Component":  # swatches of skin tones, not emoji
            continue
        variants = entry.get("skin_variations", {})
        facts = (group, entry["category"], entry["subcategory"])
        yield Emoji(entry["image"], *facts, UNKNOWN)
        for tones, variant in variants.items():
            # Where two people are in a picture, it has one tone only if both have it.
            different = set(tones.split("-"))
            one = list(TONES).index(different.pop()) if len(different) == 1 else UNKNOWN
            yield Emoji(variant["image"], *facts, one)
        group += 1


def _decode(content: bytes) -> Any:
    """Return a PNG on white, uint8, shape `(64, 64, 3)`."""
    import tensorflow as tf

    pixels = tf.io.decode_png(content, channels=4).numpy().astype("float32")
    if pixels.shape[:2] != (SIZE, SIZE):
        raise DataError(
            f"The pictures of emoji must have {SIZE}x{SIZE} pixels. Received: "
            f"{pixels.shape[1]}x{pixels.shape[0]}. Point {ENVIRONMENT} to another copy."
        )
    opacity = pixels[..., 3:] / 255
    return np.rint(pixels[..., :3] * opacity + 255 * (1 - opacity)).astype("uint8")
