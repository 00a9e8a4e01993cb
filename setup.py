"""Metadata stands in setup.cfg; here is what that file can't say.

The bundles in `models/` are installed inside of the package, as `mtlzoo/_models/`.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["mtlzoo", "mtlzoo.*"]), "mtlzoo._models"],
    package_dir={"mtlzoo._models": "models"},
    # Package data in setup.cfg would be dropped beside these.
    package_data={
        "mtlzoo": ["py.typed", "datasets/data/*", "hub/page/*", "serving/ui/*"],
        "mtlzoo._models": ["**"],
    },
)
