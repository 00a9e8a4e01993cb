"""Small bundles as the project's own, for several folders of tests."""

import pytest
from bundles import made

from mtlzoo._bundles import _home


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Return a folder of small bundles with an index: one table, a base, its heads."""
    folder = tmp_path_factory.mktemp("zoo")
    made.publish(folder)
    rows = made.photo_rows()
    base = made.publish(folder, made.photo_model("any"), rows, "resnet.photos")
    for name in ("cat", "dog", "owl", "fox"):
        model = made.stand_on(made.photo_model(name), base)
        made.publish(folder, model, rows, f"{name}.resnet", base="resnet.photos")
    return folder


@pytest.fixture
def zoo(models, monkeypatch, tmp_path):
    """Let the small bundles be the project's own, and the cache empty."""
    monkeypatch.setattr(_home, "project_models", lambda: models)
    monkeypatch.setenv("MTLZOO_HOME", str(tmp_path / "cache"))
    for name in ("MTLZOO_MIRRORS", "MTLZOO_OFFLINE", "MTLZOO_HEADER"):
        monkeypatch.delenv(name, raising=False)
    return models
