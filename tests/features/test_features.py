import keras
import numpy as np
import pytest

from mtlzoo import features
from mtlzoo._registry import FEATURES
from mtlzoo.errors import DataError

EXAMPLES = {
    "numeric": features.Numeric((2,), mean=[1.0, 2.0], variance=[4.0, 1.0]),
    "categorical": features.Categorical(["a", "b"]),
    "date": features.Date(mean=1e9, variance=1e12),
    "text": features.Text(["good"], length=3, dimension=2),
    "tokens": features.Tokens(9, dimension=2),
    "sequence": features.Sequence((5, 2), mask_value=0.0),
    "image": features.Image((4, 4, 1)),
}


def encode(feature, values):
    inputs = feature.input("x")
    model = keras.Model({"x": inputs}, feature.encode(inputs, "x"))
    return keras.ops.convert_to_numpy(model({"x": keras.ops.convert_to_tensor(values)}))


def test_every_feature_has_an_example():
    assert sorted(EXAMPLES) == FEATURES.list()


@pytest.mark.parametrize("name", EXAMPLES)
def test_config_round_trip(name):
    feature = EXAMPLES[name]
    config = keras.saving.serialize_keras_object(feature)
    assert keras.saving.deserialize_keras_object(config) == feature


def test_numeric_normalises_and_reads_nan_as_the_mean():
    feature = features.Numeric.from_values(np.array([1.0, 3.0, np.nan]))
    encoded = encode(feature, np.array([1.0, 3.0, np.nan], "float32"))
    np.testing.assert_allclose(encoded, [[-1.0], [1.0], [0.0]], atol=1e-6)


def test_numeric_that_never_varies_is_left_alone():
    feature = features.Numeric.from_values(np.array([7.0, 7.0]))
    np.testing.assert_allclose(
        encode(feature, np.array([7.0, 8.0], "float32")).T, [[0, 1]]
    )


def test_numeric_bins_say_how_far_a_number_gets():
    feature = features.Numeric(edges=[0.0, 10.0, 30.0])
    encoded = encode(feature, np.array([-5.0, 5.0, 20.0, 99.0, np.nan], "float32"))
    np.testing.assert_allclose(
        encoded[:, 1:], [[0, 0], [0.5, 0], [1, 0.5], [1, 1], [0, 0]], atol=1e-6
    )


def test_numeric_bins_are_quantiles_of_the_distinct_values():
    values = np.array([0.0] * 97 + [10.0, 20.0, 30.0, 40.0])
    assert features.Numeric.from_values(values, bins=2).edges == [0.0, 20.0, 40.0]
    assert features.Numeric.from_values(np.ones(3), bins=2).edges is None


def test_categorical_shares_one_embedding_out_of_vocabulary():
    feature = features.Categorical(["a", "b"], dimension=3)
    encoded = encode(feature, ["a", "b", "c", "d", ""])
    assert encoded.shape == (5, 3)
    np.testing.assert_array_equal(encoded[2], encoded[3])
    assert not np.allclose(encoded[0], encoded[1])
    assert not np.allclose(encoded[0], encoded[2])


def test_categorical_of_integers():
    encoded = encode(features.Categorical([10, 20]), np.array([10, 20, 30, 40]))
    np.testing.assert_array_equal(encoded[2], encoded[3])
    assert not np.allclose(encoded[0], encoded[1])


@pytest.mark.parametrize("vocabulary", [[-1, 0, 1], [0, -1], [-7, -2, -1]])
def test_categorical_of_negative_integers(vocabulary):
    encoded = encode(features.Categorical(vocabulary, 3), np.array([*vocabulary, 9]))
    assert len(np.unique(encoded, axis=0)) == len(vocabulary) + 1


def test_categorical_default_dimension_grows_slowly():
    assert features.Categorical(list(range(2))).width == 2
    assert features.Categorical(list(range(1000))).width == 50


def test_date_is_a_trend_and_three_circles():
    day = 86_400
    encoded = encode(EXAMPLES["date"], np.array([0, day, 7 * day, 10**9]))
    assert encoded.shape == (4, 7)
    np.testing.assert_allclose(encoded[0, 1:3], encoded[1, 1:3], atol=1e-6)
    np.testing.assert_allclose(encoded[0, 3:5], encoded[2, 3:5], atol=1e-6)
    np.testing.assert_allclose(encoded[0, 5:], [0.0, 1.0], atol=1e-6)
    assert encoded[3, 0] == 0.0


def test_a_missing_date_is_zeros_and_left_out_of_the_mean():
    dates = np.array(["1970-01-02", "NaT", "1970-01-04"], "datetime64[D]")
    feature = features.Date.from_values(dates)
    assert feature == features.Date.from_values(dates[[0, 2]])
    encoded = encode(feature, features.to_seconds(dates))
    np.testing.assert_array_equal(encoded[1], np.zeros(7))
    assert np.abs(encoded[[0, 2]]).min(axis=1).max() < 1 < np.abs(encoded[0]).sum()


def test_dates_of_numpy_become_seconds():
    dates = np.array(["1970-01-02", "1970-01-03"], "datetime64[D]")
    np.testing.assert_array_equal(features.to_seconds(dates), [86_400, 172_800])
    assert features.Date.from_values(dates).mean == 129_600.0


def test_missing_texts_are_no_words():
    assert features.Text.from_values(["a b", None, float("nan"), b"a"]).vocabulary == [
        "a",
        "b",
    ]


def test_text_is_lower_cased_and_stripped():
    feature = features.Text(["good", "film"], length=4, dimension=2)
    encoded = encode(feature, ["Good, film!", "good film"])
    np.testing.assert_array_equal(encoded[0], encoded[1])


def test_text_takes_any_word_that_texts_are_split_into():
    texts = np.array(
        ["Déjà-vu: l'École!", "ÉTÉ\u00a0chaud, \u00bfqué?", "\u5bff\u3000\u53f8 x_y\tz"]
    )
    feature = features.Text.from_values(texts, length=4)
    assert features.Text(feature.vocabulary).vocabulary == feature.vocabulary


def test_text_vocabulary_is_the_most_frequent_words():
    feature = features.Text.from_values(["b a", "a. A", "c b"], size=2)
    assert feature.vocabulary == ["a", "b"]


def test_image_takes_bytes():
    encoded = encode(features.Image((1, 1, 1)), np.array([[[[255]]]], "uint8"))
    assert encoded.item() == pytest.approx(1.0)


def test_infer_goes_by_type():
    columns = {
        "age": [20, 40],
        "job": ["clerk", "nurse"],
        "owns": np.array([True, False]),
        "since": np.array(["2020-01-01", "2021-01-01"], "datetime64[D]"),
    }
    inferred = features.infer(columns)
    assert [type(one).__name__ for one in inferred.values()] == [
        "Numeric",
        "Categorical",
        "Categorical",
        "Date",
    ]
    assert inferred["age"].mean == 30.0
    assert inferred["job"].vocabulary == ["clerk", "nurse"]


def test_infer_takes_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": [20, 40], "job": ["clerk", "nurse"]})
    assert features.infer(frame)["job"].vocabulary == ["clerk", "nurse"]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: features.Numeric((2, 2)), "must be \\(\\) or \\(n,\\)"),
        (lambda: features.Numeric(variance=0.0), "positive variance"),
        (lambda: features.Numeric(edges=[1.0, 1.0]), "two or more ascending"),
        (lambda: features.Categorical([]), "at least one"),
        (lambda: features.Categorical(["a", 1]), "strings only or integers only"),
        (lambda: features.Categorical(["a", "a"]), "holds a value twice"),
        (lambda: features.Text(["a"], length=0), "needs a length and a dimension"),
        (lambda: features.Text(["a", "Don't"]), "never be found. Write 'dont'"),
        (lambda: features.Text(["!"]), "'!' would never be found.$"),
        (lambda: features.Text(["a", "b", "a"]), "holds a word twice"),
        (lambda: features.Tokens(1), "must be at least 2"),
        (lambda: features.Sequence((3,)), "must be \\(steps, width\\)"),
        (lambda: features.Image((3, 3)), "must be \\(height, width, channels\\)"),
        (lambda: features.as_feature("x", (1, 2, 3, 4)), "has 4 axes a row"),
        (lambda: features.as_feature("x", "photo"), "must be a shape such as"),
    ],
)
def test_refuses(make, match):
    with pytest.raises(DataError, match=match):
        make()


def test_what_each_feature_reads_as_unknown():
    assert features.unknown(features.Text(["a"])) == ""
    assert features.unknown(features.Categorical(["a"])) == ""
    assert features.unknown(features.Categorical([0, 3])) == -1
    assert np.isnan(features.unknown(features.Numeric((3,))))
    assert features.unknown(features.Date(mean=10.2)) == 10
    assert features.unknown(features.Sequence((3, 2), mask_value=-9.0)) == -9.0
    assert features.unknown(features.Image((4, 4, 3))) == 0
    assert features.unknown(features.Tokens(5)) == 0
