"""Weights from files, whole or not at all."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py

from mtlzoo._registry import unknown_name
from mtlzoo.errors import OptionError, WeightsError
from mtlzoo.trunks._pretrained._base import Request


def load_weights(model: Any, request: Request) -> None:
    """Load the file that `request.weights` names into a model.

    Raises:
        WeightsError: it isn't there, is damaged, or doesn't fit the model.
    """
    path = Path(request.weights).expanduser()
    if not path.is_file():
        raise WeightsError(
            f"There is no file {str(path)!r} with weights for {request.name!r}."
        )
    try:
        stored = _count(path)
        if stored is not None and stored != len(model.weights):
            raise WeightsError(
                f"{str(path)!r} holds {stored} arrays, and {request.name!r} has "
                f"{len(model.weights)}: they are weights of another network."
            )
        model.load_weights(path)
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(
            f"{str(path)!r} is damaged, or no file of weights: {error}. Get it again."
        ) from error
    except Exception as error:  # Keras reports a misfit in several ways
        raise WeightsError(
            f"The weights in {str(path)!r} don't fit {request.name!r}: "
            f"{first_line(error)}"
        ) from error


def refuse_arguments(request: Request, known: Collection[str] = ()) -> None:
    """Refuse arguments that a source doesn't have.

    Raises:
        OptionError: naming the unknown argument and all there are.
    """
    for one in request.arguments:
        if one not in known:
            noun = f"argument of the base {request.name!r}"
            raise OptionError(unknown_name(noun, one, known))


def first_line(error: Exception) -> str:
    """Return what an error says, without what follows its first line."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__


def _count(path: Path) -> int | None:
    """Return how many arrays a file has, if it is of the format of Keras 3."""
    if not path.name.endswith(".weights.h5"):
        return None
    arrays = []
    with h5py.File(path) as file:
        file.visititems(
            lambda name, one: (
                arrays.append(name) if isinstance(one, h5py.Dataset) else None
            )
        )
    return len(arrays)
