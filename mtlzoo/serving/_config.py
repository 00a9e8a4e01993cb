"""Which models are served, from where, and in which versions."""

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from mtlzoo.serving._errors import Code, ServingError, invalid

_VERSION = re.compile(r"[0-9]{1,19}")
_PLATFORM = "tensorflow"


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """One model.

    Attributes:
        name: by which requests call it.
        base: the folder with its versions.
        latest: how many of the highest versions are served.
        specific: the versions that are served, `()` for the latest.
        labels: versions by a name of their own.
    """

    name: str
    base: Path
    latest: int = 1
    specific: tuple[int, ...] = ()
    labels: tuple[tuple[str, int], ...] = ()

    def wanted(self) -> dict[int, Path]:
        """Return the versions in the folder that should be served."""
        found = dict(sorted(versions(self.base).items()))
        if self.specific:
            return {one: found[one] for one in self.specific if one in found}
        return {one: found[one] for one in list(found)[-self.latest :]}


def versions(base: Path) -> dict[int, Path]:
    """Return the folders in `base` that are named by a number; `0003` is 3."""
    try:
        children = [
            one
            for one in base.iterdir()
            if _VERSION.fullmatch(one.name) and one.is_dir()
        ]
    except OSError:
        return {}
    numbered = ((int(one.name), one) for one in children)
    return {number: one for number, one in numbered if number < 2**63}


def read_config(path: Path) -> list[ModelConfig]:
    """Return the models of a folder of versions, a folder of models, or a config file.

    Raises:
        ServingError: nothing to serve is there.
    """
    path = path.absolute()
    if path.is_file():
        config = model_server_config_pb2.ModelServerConfig()
        try:
            text_format.Parse(path.read_text(encoding="utf-8"), config)
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise invalid(f"{path} is no model server config: {error}") from error
        return from_proto(config)
    if versions(path):
        return [ModelConfig(path.name, path)]
    children = sorted(path.iterdir()) if path.is_dir() else []
    found = [
        ModelConfig(child.name, child)
        for child in children
        if child.is_dir() and not child.name.startswith(".") and versions(child)
    ]
    if not found:
        raise ServingError(
            Code.NOT_FOUND,
            f"Nothing to serve is in {str(path)!r}. Pass a folder that "
            "mtlzoo.export.saved_model wrote, a folder of such folders, or a "
            "models.config file.",
        )
    return found


def from_proto(config: Any) -> list[ModelConfig]:
    """Return the models of a ModelServerConfig.

    Raises:
        ServingError: with the server's words, where it is one that can't be.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise ServingError(
            Code.FAILED_PRECONDITION,
            "Cannot transition to requested config. It is only legal to transition "
            "from one ModelConfigList to another.",
        )
    found = [_model(one) for one in config.model_config_list.config]
    names = [one.name for one in found]
    if len(set(names)) != len(names):
        raise invalid(
            "Illegal to list model a multiple times in config list: "
            f"{', '.join(sorted({one for one in names if names.count(one) > 1}))}"
        )
    return found


def _model(proto: Any) -> ModelConfig:
    if not proto.name:
        raise invalid("Model config needs a name")
    if not (proto.base_path.startswith("/") or re.match(r"\w+://", proto.base_path)):
        raise invalid(
            f"Expected model {proto.name} to have an absolute path or URI; got "
            f"base_path()={proto.base_path}"
        )
    if proto.model_platform != _PLATFORM:
        raise invalid(
            f"Model {proto.name} requests unsupported platform {proto.model_platform}"
            if proto.model_platform
            else f"Illegal setting neither ModelConfig::model_type nor ModelConfig::"
            f"model_platform on model {proto.name}"
        )
    policy = proto.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    latest = max(1, policy.latest.num_versions) if kind == "latest" else 1
    return ModelConfig(
        proto.name,
        Path(proto.base_path),
        latest=2**31 if kind == "all" else latest,
        specific=_specific(policy.specific.versions) if kind == "specific" else (),
        labels=tuple(sorted(proto.version_labels.items())),
    )


def _specific(numbers: Iterable[int]) -> tuple[int, ...]:
    found = tuple(sorted(set(numbers)))
    if not found:
        raise invalid("A specific version policy needs at least one version")
    return found
