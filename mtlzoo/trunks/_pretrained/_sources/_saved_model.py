from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from mtlzoo._registry import BASES, unknown_name
from mtlzoo._saved_models import versions
from mtlzoo.errors import OptionError, UnknownNameError, WeightsError
from mtlzoo.trunks._pretrained._base import Base, Request
from mtlzoo.trunks._pretrained._frozen import FrozenSavedModel, store
from mtlzoo.trunks._pretrained._weights_file import refuse_arguments


@BASES.register(
    "saved_model",
    written='Path("serving/income"), trainable=False',
    takes="what its signature takes",
    needs="nothing",
)
def saved_model(rest: Path, request: Request) -> Base:
    """A SavedModel in a folder, frozen: features as another model serves them.

    The folder holds it or numbered versions, of which the newest is taken. The argument
    `signature` names a signature where there are several, such as `"features"` of what
    `mtlzoo.export` writes, and `output` one of its outputs. It can't be trained, has no
    stages, and runs on TensorFlow alone.

    It travels whole: a `.keras` file of the model holds its files, and an export its
    graph and weights; neither needs the original. A bundle can't hold it.
    """
    refuse_arguments(request, ("signature",))
    if request.weights != "pretrained":
        raise OptionError(
            f"The base {request.name!r} is a SavedModel, which has its weights in it. "
            f"Received: weights={request.weights!r}."
        )
    numbered = versions(rest)
    digest, stored = store(numbered[max(numbered)] if numbered else rest)
    signatures = stored.loaded.signatures
    name = _choose(
        request.arguments.get("signature"),
        signatures,
        f"signature of {request.name!r}",
        "arguments={{'signature': {!r}}}",
    )
    function = signatures[name]
    outputs = function.structured_outputs
    output = _choose(
        request.output, outputs, f"output of the signature {name!r}", "output={!r}"
    )
    taken = dict(function.structured_input_signature[1])
    inputs = {key: _input(key, spec, request) for key, spec in taken.items()}
    spec = outputs[output]
    if not spec.dtype.is_floating or spec.shape.rank is None:
        raise WeightsError(
            f"Features are floats of a known number of axes. The output {output!r} of "
            f"{request.name!r} is {spec.dtype.name} of shape {spec.shape}. Name "
            "another: output='...'."
        )
    layer = FrozenSavedModel(
        digest,
        name,
        {key: one.dtype.name for key, one in taken.items()},
        output,
        spec.shape.as_list(),
        spec.dtype.name,
        name="saved_model",
    )
    features = layer(list(inputs.values()))
    return Base(request.name, keras.Model(inputs, features), frozen=True)


def _choose(chosen: Any, there: Mapping[str, Any], noun: str, how: str) -> str:
    """Return the chosen name, or the only one.

    Raises:
        UnknownNameError: there is none of that name.
        OptionError: none is chosen, and there are several.
        WeightsError: there is none at all.
    """
    if chosen is not None:
        if chosen not in there:
            raise UnknownNameError(unknown_name(noun, chosen, there))
        return str(chosen)
    names = sorted(there)
    if not names:
        raise WeightsError(f"There is no {noun}.")
    if len(names) > 1:
        raise OptionError(
            f"Choose one {noun} by {how.format(names[0])}. Known: {', '.join(names)}."
        )
    return names[0]


def _input(key: str, spec: Any, request: Request) -> Any:
    if spec.shape.rank is None or not spec.shape.rank or spec.shape[0] is not None:
        raise WeightsError(
            f"A base takes batches of any size. The input {key!r} of {request.name!r} "
            f"has the shape {spec.shape}."
        )
    return keras.Input(spec.shape[1:], dtype=spec.dtype.name, name=key)
