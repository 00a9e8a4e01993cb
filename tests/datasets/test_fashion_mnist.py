import functools
import http.server
import struct
import threading

import numpy as np
import pytest

from mtlzoo.datasets import _garments, load
from mtlzoo.datasets._fashion_mnist import CLASSES, GROUP_OF_CLASS, GROUPS
from mtlzoo.datasets._garments import read_garments
from mtlzoo.errors import DataError


@pytest.fixture
def server(garments, monkeypatch):
    """Serve the small IDX files where the builder of TFDS looks for its own."""
    mnist = pytest.importorskip("tensorflow_datasets.image_classification.mnist")
    handler = functools.partial(QuietHandler, directory=str(garments))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        monkeypatch.setattr(
            mnist.FashionMNIST, "URL", f"http://127.0.0.1:{found.server_port}/"
        )
        monkeypatch.setattr(mnist, "_TRAIN_EXAMPLES", 240)
        monkeypatch.setattr(mnist, "_TEST_EXAMPLES", 50)
        threading.Thread(target=found.serve_forever).start()
        yield garments
        found.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def assert_same(first, second):
    assert first.keys() == second.keys()
    for split in first:
        for one, other in zip(first[split], second[split], strict=True):
            np.testing.assert_array_equal(one, other)


def test_real_data(loaded):
    dataset = loaded("fashion_mnist")
    assert dataset.sizes == {"train": 55_000, "validation": 5_000, "test": 10_000}
    x, y = dataset.arrays("test")
    assert x["image"].dtype == "uint8"
    assert np.bincount(y["class"]).tolist() == [1_000] * 10
    assert np.bincount(y["group"]).tolist() == [3_000, 1_000, 2_000, 3_000, 1_000]
    assert y["footwear"].sum() == 3_000
    pixels = sum(
        dataset.arrays(split)[0]["image"].sum(dtype="int64")
        for split in ("train", "validation")
    )
    # The mean of the training file, as published: 0.2860 of 255.
    assert pixels / (60_000 * 28 * 28 * 255) == pytest.approx(0.2860, abs=5e-5)


def test_no_picture_is_in_two_splits(loaded):
    dataset = loaded("fashion_mnist")
    seen = {
        split: {image.tobytes() for image in dataset.arrays(split)[0]["image"]}
        for split in dataset.sizes
    }
    assert not seen["train"] & seen["validation"]


def test_groups_follow_from_classes(garments):
    dataset = load("fashion_mnist", data_dir=garments)
    names = {group: [] for group in GROUPS}
    for name, group in zip(CLASSES, GROUP_OF_CLASS, strict=True):
        names[GROUPS[group]].append(name)
    assert names == {
        "top": ["T-shirt/top", "Pullover", "Shirt"],
        "bottom": ["Trouser"],
        "dress or coat": ["Dress", "Coat"],
        "footwear": ["Sandal", "Sneaker", "Ankle boot"],
        "bag": ["Bag"],
    }
    _, y = dataset.arrays("train")
    np.testing.assert_array_equal(y["group"], GROUP_OF_CLASS[y["class"]])
    np.testing.assert_array_equal(y["footwear"], y["group"] == 3)


def test_reads_idx_files_of_a_named_folder(garments):
    found = read_garments(garments)
    sizes = {split: len(labels) for split, (_, labels) in found.items()}
    assert sizes == {"train": 220, "validation": 20, "test": 50}


def test_environment_names_the_folder(garments, nowhere, monkeypatch):
    monkeypatch.setenv(_garments.ENVIRONMENT, str(garments))
    assert_same(read_garments(), read_garments(garments))


def test_debian_package_is_the_last_resort(garments, nowhere, monkeypatch):
    monkeypatch.setattr(_garments, "DEBIAN", garments)
    assert_same(read_garments(), read_garments(garments))


def test_tfds_downloads_on_demand_and_gives_the_same_rows(server, nowhere):
    """The builder of TFDS itself, over the network, on small files."""
    with pytest.raises(DataError, match="not on this machine"):
        read_garments()
    downloaded = read_garments(download=True)
    assert_same(downloaded, read_garments(server))
    assert list((nowhere / "tfds").glob("fashion_mnist/*/dataset_info.json"))


def test_prepared_tfds_data_is_read_without_the_network(server, nowhere, tmp_path):
    folder = tmp_path / "mine"
    downloaded = read_garments(folder, download=True)
    for path in server.iterdir():
        path.unlink()
    assert_same(read_garments(folder), downloaded)


def test_failed_download(server, nowhere):
    for path in server.iterdir():
        path.unlink()
    with pytest.raises(DataError, match="TFDS could not download fashion_mnist into"):
        read_garments(download=True)


def test_nowhere_to_be_found(nowhere):
    with pytest.raises(DataError) as caught:
        load("fashion_mnist")
    message = str(caught.value)
    for way in (
        "apt-get install dataset-fashion-mnist",
        "tfds build fashion_mnist",
        "download=True",
        "data_dir=",
        "MTLZOO_FASHION_MNIST",
        str(nowhere / "tfds"),
        str(nowhere / "debian"),
    ):
        assert way in message


def test_named_folder_is_the_only_place_looked_in(nowhere, garments, monkeypatch):
    monkeypatch.setattr(_garments, "DEBIAN", garments)
    with pytest.raises(DataError, match=f"looked in {nowhere / 'empty'}. Get it"):
        read_garments(nowhere / "empty")


def test_missing_file(garments):
    (garments / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"but not t10k-labels-idx1-ubyte\.gz. Add it"):
        read_garments(garments)


def test_labels_of_another_data_set(garments):
    labels = np.full(50, 10, "uint8")
    header = bytes([0, 0, 8, 1]) + struct.pack(">I", len(labels))
    (garments / "t10k-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    with pytest.raises(DataError, match=r"must be 0 to 9. Received: 10"):
        read_garments(garments)


def test_pictures_and_labels_must_match(garments):
    (garments / "train-labels-idx1-ubyte.gz").write_bytes(
        (garments / "t10k-labels-idx1-ubyte.gz").read_bytes()
    )
    with pytest.raises(DataError, match=r"as labels. Received: 240 of 28x28 and 50"):
        read_garments(garments)
