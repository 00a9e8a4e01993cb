import keras
import numpy as np
import pytest

from mtlzoo.datasets import load
from mtlzoo.datasets._photos import as_photos
from mtlzoo.errors import DataError


@pytest.mark.parametrize(("shape", "size"), [((28, 28, 1), 96), ((7, 5, 3), 12)])
def test_resizes_as_keras_does(shape, size):
    images = np.random.default_rng(0).integers(0, 256, (300, *shape), "uint8")
    resize = keras.layers.Resizing(size, size, interpolation="bilinear")
    expected = keras.ops.convert_to_numpy(resize(images.astype("float32")))
    photos = as_photos(images, size)
    assert photos.shape == (300, size, size, 3)
    assert photos.dtype == "uint8"
    assert np.abs(photos - expected).max() <= 0.51  # rounded to whole values


def test_same_size_is_the_same_picture():
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), "uint8")
    np.testing.assert_array_equal(as_photos(images, 8), images)


def test_garments_as_photos(garments):
    whole = load("fashion_mnist", data_dir=garments)
    photos = load("fashion_mnist", data_dir=garments, photo_size=40, every=5)
    assert photos.inputs["image"].shape == (40, 40, 3)
    assert photos.sizes == {"train": 44, "validation": 4, "test": 10}
    x, y = photos.arrays("test")
    whole_x, whole_y = whole.arrays("test")
    np.testing.assert_array_equal(y["class"], whole_y["class"][::5])
    np.testing.assert_array_equal(x["image"], as_photos(whole_x["image"][::5], 40))


def test_digits_as_photos(loaded):
    loaded("mnist_5k")
    photos = load("mnist_5k", photo_size=32)
    assert photos.inputs["image"].shape == (32, 32, 3)
    x, _ = photos.arrays("test")
    np.testing.assert_array_equal(x["image"][..., 0], x["image"][..., 2])


@pytest.mark.parametrize("name", ["fashion_mnist", "mnist_5k"])
def test_refuses_a_size_below_one(name):
    with pytest.raises(DataError, match=r"at least 1, or None .* photo_size=0\."):
        load(name, photo_size=0)


def test_refuses_to_keep_every_zeroth(garments):
    with pytest.raises(DataError, match=r"`every` must be .* Received: every=0\."):
        load("fashion_mnist", data_dir=garments, every=0)
