"""The pictures of emoji: from the package if it is there, and its refusals always."""

import hashlib
import io
import json
import tarfile

import numpy as np
import pytest

from mtlzoo.datasets import _emoji_files, load
from mtlzoo.errors import DataError

ENTRY = {"image": "1.png", "category": "Food & Drink", "subcategory": "food-fruit"}


def png(pixels):
    import tensorflow as tf

    return tf.io.encode_png(np.asarray(pixels, "uint8")).numpy()


def entries():
    """Return a table like that of the package: ten emoji, one of them with tones."""
    made = [{**ENTRY, "image": f"{index}.png"} for index in range(10)]
    tones = {"1F3FB": "light.png", "1F3FB-1F3FB": "two.png", "1F3FB-1F3FF": "mix.png"}
    variants = {tone: {"image": name} for tone, name in tones.items()}
    person = {"category": "People & Body", "subcategory": "person"}
    made[3] |= {**person, "skin_variations": variants}
    return [*made, {**ENTRY, "image": "swatch.png", "category": "Component"}]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a folder in the form of the package, its table taken for the real one."""
    table = json.dumps(entries()).encode()
    monkeypatch.setattr(_emoji_files, "TABLE_SHA256", hashlib.sha256(table).hexdigest())
    pictures = tmp_path / "package" / "img/twitter/64"
    pictures.mkdir(parents=True)
    (tmp_path / "package" / "emoji.json").write_bytes(table)
    names = [f"{index}.png" for index in range(10)]
    for shade, name in enumerate([*names, "light.png", "two.png", "mix.png"]):
        pixels = np.zeros((64, 64, 4), "uint8")
        pixels[:32] = [shade, 0, 0, 255]  # the lower half is transparent
        (pictures / name).write_bytes(png(pixels))
    return tmp_path / "package"


def test_the_real_ones(loaded):
    dataset = loaded("emoji")
    assert dataset.sizes == {"train": 2664, "validation": 356, "test": 761}
    known = 0
    for split in ("train", "validation", "test"):
        x, y = dataset.arrays(split)
        assert x["image"].shape[1:] == (64, 64, 3)
        known += (y["skin_tone"] >= 0).sum()
    assert known == 1615
    assert dataset.tasks[0].class_names[5] == "People & Body"


def test_labels_and_pixels(package):
    dataset = load("emoji", path=package)
    x, y = (
        np.concatenate([dataset.arrays(split)[part][name] for split in dataset.sizes])
        for part, name in ((0, "image"), (1, "skin_tone"))
    )
    assert len(x) == 13
    assert sorted(y.ravel()) == [-1] * 11 + [0, 0]
    assert (x[:, 32:] == 255).all()  # transparent is white
    assert sorted(x[:, 0, 0, 0]) == list(range(13))


def test_all_tones_of_an_emoji_are_in_one_split(package):
    dataset = load("emoji", path=package)
    where = {
        split
        for split in dataset.sizes
        for shade in dataset.arrays(split)[0]["image"][:, 0, 0, 0]
        if shade in (3, 10, 11, 12)
    }
    assert len(where) == 1


def test_packed_and_by_environment(package, tmp_path, monkeypatch):
    packed = tmp_path / "emoji.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(package, "package")
    monkeypatch.setenv(_emoji_files.ENVIRONMENT, str(packed))
    first, second = load("emoji"), load("emoji", path=package, photo_size=32)
    assert second.inputs["image"].shape == (32, 32, 3)
    np.testing.assert_array_equal(
        first.arrays("test")[1]["category"], second.arrays("test")[1]["category"]
    )


def test_refusals(package, tmp_path, monkeypatch):
    monkeypatch.delenv(_emoji_files.ENVIRONMENT, raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"not there. Looked at: emoji-data.*npm pack"):
        load("emoji")
    with pytest.raises(DataError, match=r"Looked at: /no/where. Get them with `npm"):
        load("emoji", path="/no/where")
    with pytest.raises(DataError, match="photo_size=0"):
        load("emoji", path=package, photo_size=0)
    damaged = tmp_path / "cut.tgz"
    damaged.write_bytes(b"\x1f\x8b\x08" + bytes(20))
    with pytest.raises(DataError, match=r"cut.tgz' is damaged, or not the package"):
        load("emoji", path=damaged)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("package/other"))
    damaged.write_bytes(stream.getvalue())
    with pytest.raises(DataError, match="or not the package: 'package/emoji"):
        load("emoji", path=damaged)
    (package / "img/twitter/64/0.png").write_bytes(png(np.zeros((8, 8, 4))))
    with pytest.raises(DataError, match=r"must have 64x64 pixels\. Received: 8x8"):
        load("emoji", path=package)
    (package / "emoji.json").write_text("[]")
    with pytest.raises(DataError, match=r"must be version 16\.0\.0.*Received"):
        load("emoji", path=package)
