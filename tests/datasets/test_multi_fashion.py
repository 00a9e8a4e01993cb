import numpy as np
import pytest

from mtlzoo.datasets import load
from mtlzoo.datasets._garments import read_garments
from mtlzoo.datasets._multi_fashion import overlay, shrink
from mtlzoo.errors import DataError


def picture(rng=None, fill=None):
    if fill is not None:
        return np.full((1, 28, 28, 1), fill, "uint8")
    return rng.integers(0, 256, (1, 28, 28, 1), "uint8")


def test_overlay_places_both_and_keeps_the_brighter_pixel():
    """The recipe, step by step, as the authors' loader takes it."""
    rng = np.random.default_rng(0)
    left, right = picture(rng), picture(rng)
    expected = np.zeros((36, 36), "uint8")
    expected[0:28, 0:28] = left[0, :, :, 0]
    expected[6:34, 6:34] = right[0, :, :, 0]
    expected[6:28, 6:28] = np.maximum(left[0, 6:28, 6:28, 0], right[0, 0:22, 0:22, 0])
    np.testing.assert_array_equal(overlay(left, right)[0, :, :, 0], expected)


def test_overlay_leaves_a_free_border():
    canvas = overlay(picture(fill=9), picture(fill=5))[0, :, :, 0]
    assert canvas[:28, :28].min() == 9
    assert (canvas[28:34, 6:34] == 5).all()
    assert canvas[34:].max() == canvas[:, 34:].max() == 0
    assert canvas[:6, 28:].max() == canvas[28:, :6].max() == 0


def test_shrink_takes_the_nearest_pixel():
    image = pytest.importorskip("PIL.Image")
    canvas = np.random.default_rng(0).integers(0, 256, (1, 36, 36, 1), "uint8")
    expected = image.fromarray(canvas[0, :, :, 0]).resize(
        (28, 28), image.Resampling.NEAREST
    )
    np.testing.assert_array_equal(shrink(canvas, 28)[0, :, :, 0], np.asarray(expected))
    np.testing.assert_array_equal(shrink(canvas, 36), canvas)


@pytest.mark.parametrize("size", [28, 36])
def test_size(garments, size):
    dataset = load("multi_fashion", data_dir=garments, size=size)
    assert dataset.inputs["image"].shape == (size, size, 1)
    x, _ = dataset.arrays("train")
    assert x["image"].shape == (220, size, size, 1)


def test_each_picture_is_the_left_one_once_and_partners_come_from_its_split(garments):
    sources = read_garments(garments)
    dataset = load("multi_fashion", data_dir=garments)
    for split, (images, labels) in sources.items():
        x, y = dataset.arrays(split)
        # The first six rows of the canvas show the left garment alone, rows 28 to 33
        # the right one alone.
        np.testing.assert_array_equal(x["image"][:, :6, :28], images[:, :6])
        np.testing.assert_array_equal(y["left"], labels)
        strips = {
            image[22:].tobytes(): label
            for image, label in zip(images, labels, strict=True)
        }
        found = [strips[image[28:34, 6:34].tobytes()] for image in x["image"]]
        assert y["right"].tolist() == found


def test_seed_decides_the_partners(garments):
    def partners(seed):
        dataset = load("multi_fashion", data_dir=garments, seed=seed)
        return dataset.arrays("train")[1]["right"].tolist()

    assert partners(0) == partners(0)
    assert partners(0) != partners(1)


def test_real_data(loaded):
    dataset = loaded("multi_fashion")
    assert dataset.sizes == {"train": 55_000, "validation": 5_000, "test": 10_000}
    _, y = dataset.arrays("test")
    assert np.bincount(y["left"]).tolist() == [1_000] * 10
    assert np.bincount(y["right"]).min() > 900
    # The partner is independent of the picture.
    assert (y["left"] == y["right"]).mean() == pytest.approx(0.1, abs=0.01)


def test_refuses_other_sizes(garments):
    with pytest.raises(DataError, match=r"`size` must be 36 or 28. Received: size=32"):
        load("multi_fashion", data_dir=garments, size=32)
