"""Small bundles that tests write, read and spoil."""

import hashlib
import json

import numpy as np
from examples import INPUTS, TRUNKS, raw_inputs

import mtlzoo
from mtlzoo import _bundles, heads, hub, tasks

TABLE = ("age", "job", "review")


def table_model(**options):
    """Return a small model that takes numbers, words and a text."""
    options = {"architecture": "mmoe", "num_experts": 2, **options}
    return mtlzoo.build(
        options.pop("architecture"),
        inputs={name: INPUTS["table"][name] for name in TABLE},
        tasks=[tasks.Binary("click"), tasks.Multiclass("color", ["red", "blue"])],
        trunk=TRUNKS["tabular"][1](),
        head=heads.Tower((4,)),
        **options,
    )


def table_rows(rows=4):
    values = raw_inputs("table", rows)
    return {name: values[name] for name in TABLE}


def photo_model(*names, **options):
    """Return a small model on a photo, with a binary task of each name."""
    return mtlzoo.build(
        "shared_bottom",
        inputs={"photo": (16, 16, 3)},
        tasks=[tasks.Binary(name) for name in names],
        trunk=TRUNKS["resnet"][1](),
        head=heads.Tower((4,)),
        **options,
    )


def photo_rows(rows=4):
    return raw_inputs("image", rows)


def info(name="mmoe.table", **changes):
    facts = {
        "version": 1,
        "architecture": name.split(".")[0],
        "description": "A toy.",
        "license": "Apache-2.0",
        "metrics": (_bundles.MetricInfo("click", "auc", 0.75, "toy"),),
        "recipe": _bundles.RecipeInfo("mtlzoo train toy mmoe"),
        "datasets": (_bundles.DatasetInfo("toy", "CC0-1.0", "https://example.org"),),
    }
    return _bundles.WeightsInfo(name, **{**facts, **changes})


def write(folder, model=None, examples=None, name="mmoe.table", **options):
    """Write a small bundle and return it."""
    changes = options.pop("changes", {})
    path = _bundles.write(
        model or table_model(),
        folder,
        info(name, **changes),
        examples=examples or table_rows(),
        **options,
    )
    return _bundles.Bundle(path)


def publish(folder, model=None, examples=None, name="mmoe.table", **options):
    """Publish a small bundle as users do, and return it."""
    model = model or table_model()
    metrics = tuple(
        _bundles.MetricInfo(task.name, "auc", 0.75, "toy") for task in model.tasks
    )
    options = {"saved_model": False, **options}
    changes = {"metrics": metrics, **options.pop("changes", {})}
    path = hub.publish(
        model,
        folder,
        info(name, **changes),
        examples=examples or table_rows(),
        **options,
    )
    return _bundles.Bundle(path)


def in_folder(folder, name, version=1):
    return _bundles.Bundle(folder / name / str(version))


def build(bundle):
    return _bundles.build_model(bundle)


def stand_on(model, bundle):
    """Give the trunk of a model the weights of a base."""
    variables = _bundles.weights_by_key(model)
    for key, array in _bundles.base_weights(bundle).items():
        variables[f"trunk.{key}"].assign(array)
    return model


# Spoiling: as an attacker would, who can write every hash anew.


def change_manifest(bundle, change):
    """Apply `change` to the manifest's data, and return the bundle's folder."""
    path = bundle.folder / "bundle.json"
    data = json.loads(path.read_text("utf-8"))
    change(data)
    path.write_text(json.dumps(data), "utf-8")
    return bundle.folder


def replace_file(bundle, path, content):
    """Put other content in a file, with its hash in the manifest."""
    (bundle.folder / path).write_bytes(content)

    def change(data):
        for one in data["files"]:
            if one["path"] == path:
                one["sha256"] = hashlib.sha256(content).hexdigest()
                one["size"] = len(content)

    return change_manifest(bundle, change)


def change_config(bundle, change):
    config = json.loads((bundle.folder / "config.json").read_text("utf-8"))
    change(config)
    return replace_file(bundle, "config.json", json.dumps(config).encode())


def assert_same(expected, found, tolerance=1e-6):
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=tolerance)
