import shutil

import pytest
from bundles import made
from bundles.fixtures import models, zoo  # noqa: F401

from mtlzoo import _bundles


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Return a folder of bundles that nobody changes."""
    folder = tmp_path_factory.mktemp("models")
    made.write(folder)
    return folder


@pytest.fixture
def bundle(published, tmp_path):
    """Return a bundle of one's own, to spoil."""
    folder = tmp_path / "mmoe.table" / "1"
    shutil.copytree(published / "mmoe.table" / "1", folder)
    return _bundles.Bundle(folder)
