"""What a bundle says of itself: the manifest, `bundle.json`."""

import dataclasses
import math
import re
from typing import Any

from mtlzoo._bundles import _strict_json
from mtlzoo._bundles._decode import decode, encode
from mtlzoo.errors import BundleError

FORMAT = 1
"""The version of the bundle format that this code reads and writes."""

NAME = re.compile(r"[a-z0-9][a-z0-9_]*(?:\.[a-z0-9][a-z0-9_]*)+")
SHA256 = re.compile(r"[0-9a-f]{64}")
LIMIT = 4 * 2**20


@dataclasses.dataclass(frozen=True)
class TaskInfo:
    """A task that a bundle predicts.

    Attributes:
        name: of the task and of its output.
        kind: such as `"binary"`, a name of `mtlzoo list tasks`.
        classes: their names, where it has any.
    """

    name: str
    kind: str
    classes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class InputInfo:
    """An input of a bundle's model.

    Attributes:
        name: of the input.
        shape: of one row, `None` for an axis of any size.
        dtype: such as `"float32"` or `"string"`.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclasses.dataclass(frozen=True)
class MetricInfo:
    """One measured number.

    Attributes:
        task: what was measured.
        metric: the name that `evaluate` reports, without the task, such as `"auc"`.
        value: of these very weights.
        dataset: a name of `mtlzoo list datasets`, or another.
        split: of the data set; held out from training.
        mean: over several trainings that differ in the seed, where there were several.
        std: their standard deviation.
        seeds: how many there were.
        higher_is_better: whether more of it is better.
    """

    task: str
    metric: str
    value: float
    dataset: str
    split: str = "test"
    mean: float | None = None
    std: float | None = None
    seeds: int = 1
    higher_is_better: bool = True


@dataclasses.dataclass(frozen=True)
class RecipeInfo:
    """How the weights were made.

    Attributes:
        command: that makes them again.
        commit: of the repository, when it was run.
        seed: of the published weights.
    """

    command: str
    commit: str = ""
    seed: int | None = None


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Data that the weights were made from.

    Attributes:
        name: of the data set; where it is one of `mtlzoo list datasets`, that name.
        license: of the data, an SPDX expression where there is one.
        source: where it comes from, such as a URL.
        provenance: who collected it and how, and what was changed.
        options: of `mtlzoo.datasets.load`.
    """

    name: str
    license: str
    source: str
    provenance: str = ""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class BaseInfo:
    """The bundle whose weights a bundle stands on, and doesn't store again.

    Attributes:
        name: of the base.
        version: of it.
        fingerprint: of its weights, see `fingerprint`.
        prefix: what the keys of its weights begin with in this model.
    """

    name: str
    version: int
    fingerprint: str
    prefix: str


@dataclasses.dataclass(frozen=True)
class FileInfo:
    """A file of a bundle: its path in it, its SHA-256 in hex, its size in bytes."""

    path: str
    sha256: str
    size: int


@dataclasses.dataclass(frozen=True)
class WeightsInfo:
    """What a bundle is, what it can do, and what it was made from.

    Who publishes gives the first part; the second is found from the model.

    Attributes:
        name: `<architecture>.<tag>`, such as `"mmoe.adult"`.
        version: from 1; a published version never changes.
        architecture: how the tasks share, or the name of the network of a base.
        description: one sentence.
        license: of the weights, an SPDX expression such as `"Apache-2.0"`.
        metrics: of each task, on rows that were held out.
        recipe: how to make the weights again.
        datasets: that they were made from.
        single_task_metrics: the same, of a network for each task alone.
        delta_m: mean change of all metrics against those, in percent; less is better,
            as `mtlzoo.metrics.delta_m` has it.
        delta_m_std: its standard deviation over the seeds.
        use: what the weights are for.
        limits: what they are not for, and what they do badly.
        papers: of the method, of the data.
        tasks: that the model predicts.
        inputs: that it takes, raw.
        parameters: of the whole model, those of its base included.
        base: the bundle that it stands on.
        keras_version, tensorflow_version, mtlzoo_version: that wrote it.
        files: of the bundle, but for the manifest itself.
        format: version of the bundle format.
    """

    name: str
    version: int
    architecture: str
    description: str
    license: str
    metrics: tuple[MetricInfo, ...]
    recipe: RecipeInfo
    datasets: tuple[DatasetInfo, ...]
    single_task_metrics: tuple[MetricInfo, ...] = ()
    delta_m: float | None = None
    delta_m_std: float | None = None
    use: str = ""
    limits: str = ""
    papers: tuple[str, ...] = ()
    tasks: tuple[TaskInfo, ...] = ()
    inputs: tuple[InputInfo, ...] = ()
    parameters: int = 0
    base: BaseInfo | None = None
    keras_version: str = ""
    tensorflow_version: str = ""
    mtlzoo_version: str = ""
    files: tuple[FileInfo, ...] = ()
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all files but the manifest."""
        return sum(one.size for one in self.files)

    def file(self, path: str) -> FileInfo | None:
        """Return what is known of the file at `path`, if the bundle has it."""
        return next((one for one in self.files if one.path == path), None)

    def to_data(self) -> Any:
        """Return the manifest as plain data, as JSON has it."""
        return encode(self)

    def to_json(self) -> str:
        """Return the text of `bundle.json`."""
        return _strict_json.text(encode(self))

    @classmethod
    def from_json(cls, content: bytes, name: str = "bundle.json") -> "WeightsInfo":
        """Return the manifest in `content`, checked.

        Args:
            content: of the file.
            name: of it, for messages.

        Raises:
            BundleError: it isn't a manifest of this format.
        """
        data = _strict_json.parse(content, name, limit=LIMIT)
        found = data.get("format") if isinstance(data, dict) else None
        if found != FORMAT or isinstance(found, bool):
            raise BundleError(
                f"{name} must be of the bundle format {FORMAT}. Received: {found!r}. "
                "A newer format needs a newer mtlzoo: pip install --upgrade mtlzoo"
            )
        info: WeightsInfo = decode(cls, data, name)
        check_info(info)
        return info


def check_info(info: WeightsInfo) -> None:
    """Refuse a manifest whose fields contradict the format.

    Raises:
        BundleError: saying which.
    """
    check_name(info.name)
    if info.version < 1:
        raise BundleError(
            f"The version of {info.name!r} must be at least 1. Received: "
            f"{info.version}."
        )
    for field in ("architecture", "description", "license"):
        if not getattr(info, field).strip():
            raise BundleError(f"The bundle {info.name!r} must state its {field}.")
    for metric in (*info.metrics, *info.single_task_metrics):
        if not math.isfinite(metric.value):
            raise BundleError(
                f"{metric.task} {metric.metric} of {info.name!r} must be a finite "
                f"number. Received: {metric.value}."
            )
    if info.base is not None:
        check_name(info.base.name)
    paths = [one.path for one in info.files]
    if len({path.casefold() for path in paths}) != len(paths):
        raise BundleError(f"{info.name!r} lists a file twice.")
    for one in info.files:
        check_path(one.path)
        if not SHA256.fullmatch(one.sha256) or one.size < 0:
            raise BundleError(
                f"{one.path!r} must come with a SHA-256 of 64 hex digits and a size. "
                f"Received: {one.sha256!r:.80}, {one.size}."
            )


def check_name(name: str) -> str:
    """Return `name` if it can name a bundle.

    Raises:
        BundleError: it can't.
    """
    if not NAME.fullmatch(name) or len(name) > 100:
        raise BundleError(
            "The name of a bundle is <architecture>.<tag>, of small letters, digits "
            f"and underscores, such as mmoe.adult. Received: {name!r:.120}."
        )
    return name


_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,7}")


def check_path(path: str) -> str:
    """Return `path` if it stays in the bundle on every system.

    Raises:
        BundleError: it could lead out of it.
    """
    if not _PATH.fullmatch(path) or len(path) > 200 or path == "bundle.json":
        raise BundleError(
            "The path of a file in a bundle holds letters, digits, '_', '-', '.' and "
            f"'/', and stays in the bundle. Received: {path!r:.220}."
        )
    return path
