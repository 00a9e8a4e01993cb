"""What a client needs of a protocol."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mtlzoo.serving._json._examples import Features
from mtlzoo.serving._signature import Signature


@dataclasses.dataclass(frozen=True)
class Target:
    """Which model a client calls; of `version` and `label` at most one."""

    model: str
    version: int | None = None
    label: str | None = None


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """How a version is.

    Attributes:
        version: its number.
        state: `"START"`, `"LOADING"`, `"AVAILABLE"`, `"UNLOADING"` or `"END"`.
        error: why it could not be loaded, `""` if nothing went wrong.
    """

    version: int
    state: str
    error: str


class Transport(Protocol):
    """One protocol to one server. `timeout` is in seconds.

    Each method raises a `ServingError` with the code of what went wrong; UNAVAILABLE
    when the server can't be reached.
    """

    def predict(
        self,
        target: Target,
        signature: str,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, str],
        timeout: float,
    ) -> dict[str, Any]:
        """Return arrays by output name.

        Args:
            target: the model.
            signature: its signature.
            inputs: arrays by input name, of the types of the signature.
            outputs: the names that are wanted, each with its type.
            timeout: of the call.
        """

    def classify(
        self,
        target: Target,
        signature: str,
        examples: Sequence[Features],
        timeout: float,
    ) -> list[list[tuple[str, float]]]:
        """Return labels and scores of each example."""

    def regress(
        self,
        target: Target,
        signature: str,
        examples: Sequence[Features],
        timeout: float,
    ) -> list[float]:
        """Return the value of each example."""

    def multi_inference(
        self,
        target: Target,
        tasks: Mapping[str, str],
        examples: Sequence[Features],
        timeout: float,
    ) -> dict[str, Any]:
        """Return by signature what `classify` or `regress` return.

        Args:
            target: the model.
            tasks: methods, `"classify"` or `"regress"`, by signature.
            examples: features by name.
            timeout: of all of it.
        """

    def signatures(self, target: Target, timeout: float) -> dict[str, Signature]:
        """Return what the model can be asked."""

    def status(self, target: Target, timeout: float) -> list[VersionStatus]:
        """Return the state of the model's versions, newest first."""

    def close(self) -> None:
        """Let go of the connections."""
