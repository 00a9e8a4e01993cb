"""A column means the same, whatever holds it: lists, NumPy, pandas or pyarrow."""

import datetime
from decimal import Decimal

import numpy as np
import pandas
import pyarrow
import pytest

import mtlzoo
from mtlzoo import features, tasks, trunks
from mtlzoo._columns import as_array, columns_of
from mtlzoo._dtypes import MISSING_INTEGER, as_dtype, as_fed
from mtlzoo._moments import moments
from mtlzoo.datasets import from_frame
from mtlzoo.errors import DataError, LabelError
from mtlzoo.serving import _client

DAY = datetime.date(2020, 1, 2)
NOON = datetime.datetime(2020, 1, 2, 12, tzinfo=datetime.UTC)

COLUMNS = {
    "numbers": ([1.0, None, 3.0], "Numeric", "float32", [1.0, np.nan, 3.0]),
    "integers": ([1, None, 3], "Numeric", "float32", [1.0, np.nan, 3.0]),
    "decimals": ([Decimal(1), None, Decimal(3)], "Numeric", "float32", [1, np.nan, 3]),
    "booleans": ([True, None, False], "Categorical", "int64", [1, MISSING_INTEGER, 0]),
    "texts": (["a", None, "ü"], "Categorical", "string", ["a", "", "ü"]),
    "dates": ([DAY, None, DAY], "Date", "int64", [1577923200, MISSING_INTEGER] * 2),
    "times": ([NOON, None, NOON], "Date", "int64", [1577966400, MISSING_INTEGER] * 2),
    "durations": (
        [datetime.timedelta(hours=1), None, datetime.timedelta(0)],
        "Numeric",
        "float32",
        [3600.0, np.nan, 0.0],
    ),
    "nothing": ([None, None, None], "Numeric", "float32", [np.nan] * 3),
}
"""Values, the feature that is inferred, its type, and what a model is given."""

MISSING = {
    "none": None,
    "nan": float("nan"),
    "nat": pandas.NaT,
    "na": pandas.NA,
    "text": "",
}

HOLDERS = {
    "list": lambda values: {"c": values},
    "objects": lambda values: {"c": np.array(values, dtype=object)},
    "pandas": lambda values: pandas.DataFrame({"c": values}),
    "pandas_objects": lambda values: pandas.DataFrame({"c": values}, dtype=object),
    "pandas_nullable": lambda values: pandas.DataFrame({"c": values}).convert_dtypes(),
    "pyarrow": lambda values: pyarrow.table({"c": values}),
}

every_column = pytest.mark.parametrize("name", COLUMNS)
every_holder = pytest.mark.parametrize("holder", HOLDERS)


@every_column
@every_holder
def test_infers_and_converts_alike(name, holder):
    values, kind, dtype, expected = COLUMNS[name]
    table = HOLDERS[holder](values)
    feature = features.infer(table)["c"]
    assert type(feature).__name__ == kind
    assert feature.dtype == dtype
    assert feature == features.infer({"c": values})["c"]
    found = as_dtype(columns_of(table, "`x`")["c"], dtype, "Input")
    np.testing.assert_array_equal(found, np.array(expected[:3], found.dtype))


@every_column
@pytest.mark.parametrize("mark", MISSING)
@pytest.mark.parametrize("is_list", [True, False])
def test_every_mark_of_a_missing_value_is_one(name, mark, is_list):
    values, _, dtype, expected = COLUMNS[name]
    marked = [MISSING[mark] if one is None else one for one in values]
    found = as_dtype(marked if is_list else np.array(marked, object), dtype, "Input")
    np.testing.assert_array_equal(found, np.array(expected[:3], found.dtype))


@every_column
@every_holder
def test_servers_are_sent_what_a_model_is_given(name, holder):
    values, _, dtype, _ = COLUMNS[name]
    column = columns_of(HOLDERS[holder](values), "`x`")["c"]
    given = as_dtype(values, dtype, "Input")
    if dtype == "string":
        given = np.array([one.encode() for one in given], object)
    for fed in (as_fed(column, dtype, "Input"), _client._to_array("c", column, dtype)):
        np.testing.assert_array_equal(fed, given)


def test_bytes_are_fed_as_they_are():
    photo = b"\xff\xd8\xff\x00"
    assert as_fed([photo, "text", None], "string", "x").tolist() == [
        photo,
        b"text",
        b"",
    ]


@every_column
def test_a_data_set_holds_what_a_model_is_given(name):
    values, _, dtype, _ = COLUMNS[name]
    table = {"c": values * 10, "y": [0, 1, 0] * 10}
    dataset = from_frame(table, tasks=[tasks.Binary("y")])
    assert dataset.inputs["c"].dtype == dtype
    for split in dataset.sizes:
        x, _ = dataset.arrays(split)
        assert set(x["c"].astype(str)) <= set(as_dtype(values, dtype, "x").astype(str))


@every_column
def test_models_read_missing_values_as_unknown(name):
    values, _, dtype, _ = COLUMNS[name]
    inputs = features.infer({"c": values})
    model = mtlzoo.build(
        "shared_bottom",
        inputs=inputs,
        tasks=[tasks.Binary("y")],
        trunk=trunks.Tabular((4,)),
    )
    model.fit({"c": values}, {"y": [0, 1, 0]}, verbose=0)
    unknown = "not seen yet" if dtype == "string" else None
    found = model.predict({"c": [*values[1:2], unknown]}, verbose=0)["y"]
    assert np.isfinite(found).all()
    assert found[0] == found[1]


def test_categories_of_pandas_are_categories():
    frame = pandas.DataFrame({"c": pandas.Categorical([7, 1, None, 3] * 5)})
    frame["y"] = [0, 1] * 10
    assert features.infer(frame[["c"]])["c"].vocabulary == [1, 3, 7]
    dataset = from_frame(frame, tasks=[tasks.Binary("y")])
    assert dataset.inputs["c"].vocabulary == [1, 3, 7]


def test_time_zones_are_converted():
    berlin = pandas.Series(pandas.date_range("2020", periods=2, tz="Europe/Berlin"))
    expected = [1577833200, 1577919600]
    for column in (berlin, berlin.astype(object), berlin.dt.tz_convert("UTC")):
        assert features.to_seconds(column).tolist() == expected


def test_a_column_of_texts_and_numbers_is_text():
    assert as_array([1, "a", b"b", 2.5], "x").tolist() == ["1", "a", "b", "2.5"]


def test_integers_beyond_floats_stay_exact():
    large = [2**62 + 1, 2**53 + 1]
    assert as_array(np.array(large, object), "x").tolist() == large


@pytest.mark.parametrize("value", [0.1, 1e6 + 0.1, -3.3e-7])
def test_what_never_varies_has_variance_one(value):
    mean, variance = moments(np.full(7, value), "x")
    assert mean == pytest.approx(value)
    assert variance == 1.0
    assert tasks.Regression.from_values("y", [value] * 7).variance == 1.0


def test_moments_leave_nan_out():
    values = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, np.nan]])
    mean, variance = moments(values, "x")
    np.testing.assert_array_equal(mean, [2.0, 0.0, 2.0])
    np.testing.assert_array_equal(variance, [1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("column", "match"),
    [
        ([[1, 2], [3]], "must have rows of one shape.*pad the shorter"),
        (pandas.Series([[1, 2], [3, 4]]), r"one value a row.*list.*numpy.stack"),
        (np.array([1j]), "numbers, dates or texts. Received complex128"),
        ([b"\xff"], "must hold texts in UTF-8"),
        ([], "no values to infer a feature from"),
        ([1.0, np.inf], "No feature can be inferred for column 'c': .* be finite"),
        ([1e300], "within what float32 holds. Received: 1e\\+300"),
        (np.zeros((2, 4, 4, 3)), r"rows of shape \(4, 4, 3\).*Give it one"),
    ],
)
def test_columns_without_a_feature(column, match):
    with pytest.raises(DataError, match=match):
        features.infer({"c": column})


@pytest.mark.parametrize(
    ("column", "dtype", "match"),
    [
        (["a"], "float32", r"must hold numbers \(float32\). Received: \['a'\]"),
        ([1.5], "int64", r"whole numbers \(int64\). Received float64: 1.5"),
        ([np.nan], "int32", r"whole numbers \(int32\). Received float64: nan"),
        ([300], "uint8", r"whole numbers \(uint8\). Received int64: 300. Cut.*clip"),
        ([-3.5, 9.0], "uint8", r"Received float64: -3.5. Cut what is outside"),
        ([-1.0, 0.5], "uint8", r"-1.0. For pixels that are scaled already"),
        ([0.5], "uint8", r"0.5. For pixels that are scaled already.*scale=1.0"),
    ],
)
def test_no_value_is_changed_to_fit(column, dtype, match):
    with pytest.raises(DataError, match=match):
        as_dtype(column, dtype, "Input 'c'")


def test_resized_pixels_become_bytes():
    pixels = as_dtype([-0.001, 0.0, 127.6, 255.00003], "uint8", "Input 'photo'")
    np.testing.assert_array_equal(pixels, np.array([0, 0, 127, 255], "uint8"))


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (np.ones((3, 2)), "`columns` must be a data frame or a dict.*ndarray"),
        (pandas.Series([1, 2]), "must be a data frame or a dict.*Series"),
        (
            pandas.DataFrame(np.ones((2, 3)), columns=["a", "b", "a"]),
            "names of their own. Used more than once: a",
        ),
    ],
)
def test_tables_without_columns(table, match):
    with pytest.raises(DataError, match=match):
        features.infer(table)


@pytest.mark.parametrize(
    "labels",
    [
        ["b", None, "a"],
        pandas.Series(["b", None, "a"], dtype="category"),
        pandas.array(["b", None, "a"], dtype="string"),
        pandas.array([1, None, 0], dtype="Int64"),
        np.array([1, None, 0], object),
        pandas.array([True, None, False], dtype="boolean"),
        pyarrow.table({"kind": ["b", None, "a"]})["kind"],
    ],
)
def test_labels_as_they_come(labels):
    model = mtlzoo.build(
        "shared_bottom",
        inputs={"x": (2,)},
        tasks=[tasks.Multiclass("kind", ["a", "b"])],
        trunk=trunks.MLP((4,)),
    )
    x = np.eye(3, 2, dtype="float32")
    expected = model.evaluate(x, [1.0, np.nan, 0.0], verbose=0)
    assert model.evaluate(x, labels, verbose=0) == pytest.approx(expected)


def test_labels_that_are_lists():
    model = mtlzoo.build(
        "shared_bottom", inputs={"x": (2,)}, tasks=[tasks.Binary("click")]
    )
    with pytest.raises(LabelError, match="Labels of task 'click' must have rows of"):
        model.evaluate(np.ones((2, 2)), {"click": [[1], [0, 1]]})
