from bundles.fixtures import models, zoo  # noqa: F401
