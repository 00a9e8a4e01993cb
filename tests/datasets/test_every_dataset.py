"""What every registered data set must be. Adding a data set adds its tests."""

import numpy as np
import pytest

import mtlzoo
from mtlzoo._registry import DATASETS
from mtlzoo.datasets import load
from mtlzoo.errors import OptionError, UnknownNameError
from mtlzoo.features import Categorical, Numeric
from mtlzoo.tasks import Regression

SPLITS = ("train", "validation", "test")

every_dataset = pytest.mark.parametrize("name", DATASETS.list())


@pytest.fixture
def dataset(name, loaded):
    return loaded(name)


def test_all_data_sets_are_registered():
    assert {
        "actg175",
        "adult",
        "emoji",
        "fashion_mnist",
        "home_intents",
        "index_returns",
        "mnist_5k",
        "multi_fashion",
        "synthetic",
        "womens_clothing_reviews",
    } <= set(mtlzoo.list_datasets())


@every_dataset
def test_entry_says_what_it_is_and_how_to_get_it(name):
    entry = DATASETS.entry(name)
    assert entry.summary.endswith(".")
    assert {"kind", "licence", "source", "needs"} <= set(entry.facts)
    assert entry.facts["kind"] in ("tabular", "image", "text", "time series")
    assert entry.facts["source"].startswith("https://")


@every_dataset
def test_arrays_fit_inputs_and_tasks(name, dataset):
    for split in SPLITS:
        x, y = dataset.arrays(split)
        assert list(x) == list(dataset.inputs)
        assert list(y) == [task.name for task in dataset.tasks]
        assert not set(x) & set(y)
        rows = dataset.sizes[split]
        for key, feature in dataset.inputs.items():
            assert x[key].shape == (rows, *feature.input_shape)
            if feature.dtype != "string":
                assert np.isfinite(x[key]).all()
        for task in dataset.tasks:
            labels = y[task.name]
            axes = [size for size in task.label_shape if size != 1]
            assert len(labels) == rows
            assert labels.ndim == 1 + len(axes)
            assert labels.dtype == ("float32" if task.num_labels is None else "int32")
            known = labels[np.asarray(task.labelled(labels.astype("float32")))]
            assert not np.any(task.out_of_range(known.astype("float32")))
            # A rare class may be absent where models are only tested.
            classes = task.num_labels if split == "train" else None
            assert len(np.unique(known)) >= min(classes or 2, rows)


@every_dataset
def test_sizes_add_up(name, dataset):
    assert tuple(dataset.sizes) == SPLITS
    rows = DATASETS.entry(name).facts.get("rows")
    assert rows in (None, sum(dataset.sizes.values()))
    assert dataset.sizes["train"] > max(
        dataset.sizes["validation"], dataset.sizes["test"]
    )


@every_dataset
def test_statistics_come_from_training_rows_alone(name, dataset):
    x, y = dataset.arrays("train")
    for key, feature in dataset.inputs.items():
        if isinstance(feature, Categorical):
            assert feature.vocabulary == np.unique(x[key]).tolist()
        if isinstance(feature, Numeric) and not feature.shape:
            np.testing.assert_allclose(feature.mean, x[key].mean(dtype="float64"), 1e-5)
            np.testing.assert_allclose(
                feature.variance, x[key].var(dtype="float64"), 1e-5
            )
    for task in dataset.tasks:
        if isinstance(task, Regression):
            labels = y[task.name].astype("float64")
            np.testing.assert_allclose(task.mean, labels.mean(), 1e-5)
            np.testing.assert_allclose(task.variance, labels.var(), 1e-5)


@every_dataset
def test_loading_again_gives_the_same_rows(name, dataset):
    again = load(name, batch_size=64, shuffle_seed=1)
    assert again.spec == dataset.spec
    for split in SPLITS:
        for first, second in zip(
            dataset.arrays(split), again.arrays(split), strict=True
        ):
            for key in first:
                np.testing.assert_array_equal(first[key], second[key])


@every_dataset
def test_pipelines_hold_the_arrays(name, dataset):
    for split in ("validation", "test"):
        batches = list(getattr(dataset, split).as_numpy_iterator())
        assert len(batches) == -(-dataset.sizes[split] // dataset.batch_size)
        for half, columns in enumerate(dataset.arrays(split)):
            for key, column in columns.items():
                found = np.concatenate([batch[half][key] for batch in batches])
                if found.dtype == object:
                    found = np.char.decode(found.astype("S"), "utf-8")
                np.testing.assert_array_equal(found, column)


@every_dataset
def test_a_built_model_fits_it(name, dataset):
    model = mtlzoo.build("shared_bottom", **dataset.spec)
    logs = model.evaluate(dataset.test.take(2), return_dict=True, verbose=0)
    assert np.isfinite(logs["loss"])
    x, _ = dataset.arrays("test")
    row = {key: column[:1] for key, column in x.items()}
    predictions = model.predict(row, verbose=0)
    assert list(predictions) == [task.name for task in dataset.tasks]


@every_dataset
def test_unknown_option(name):
    with pytest.raises(OptionError, match=r"no option 'batchsize' of data set .*Did"):
        load(name, batchsize=3)


def test_unknown_name():
    with pytest.raises(UnknownNameError, match=r"no data set 'adlut'. Did you mean"):
        load("adlut")


def test_listing_imports_no_data_set():
    import subprocess
    import sys

    code = (
        "import sys, mtlzoo; mtlzoo.list_datasets(); mtlzoo.datasets.load; "
        "sys.exit('mtlzoo.datasets._adult' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
