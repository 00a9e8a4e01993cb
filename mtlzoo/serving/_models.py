"""The models that are served, kept in step with the folders of their versions."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import enum
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mtlzoo.serving._config import ModelConfig
from mtlzoo.serving._errors import Code, ServingError, invalid
from mtlzoo.serving._servable import Servable


class State(enum.Enum):
    """Where a version is in its life; the numbers are those of the protocol."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(frozen=True)
class Spec:
    """Which model, version and signature a request is for."""

    name: str
    version: int | None = None
    label: str | None = None
    signature: str = ""


@dataclasses.dataclass
class Version:
    """What is known of one version, and the model itself while it is loaded."""

    number: int
    state: State = State.START
    error: ServingError | None = None
    servable: Servable | None = None
    stamp: tuple[int, ...] = ()
    """Of the folder that failed to load: another one there is tried again."""


@dataclasses.dataclass
class _Model:
    config: ModelConfig
    versions: dict[int, Version] = dataclasses.field(default_factory=dict)
    labels: dict[str, int] = dataclasses.field(default_factory=dict)

    def available(self) -> dict[int, Servable]:
        return {
            number: one.servable
            for number, one in sorted(self.versions.items())
            if one.servable is not None and one.state is State.AVAILABLE
        }


class Models:
    """All models of a server; belongs to one event loop.

    A new version is loaded beside the old one, and takes its place once it is ready. A
    version that can't be loaded leaves the old one serving. Requests that are at work
    on a version when it goes are answered by it.

    Args:
        load: returns a version that is ready to serve; called in a thread.
    """

    def __init__(self, load: Callable[[str, int, Path], Servable]) -> None:
        self._load = load
        self._models: dict[str, _Model] = {}
        self._lock = asyncio.Lock()
        # One at a time: a load needs memory for two.
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "mtlzoo-loader")
        self._unloading: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def use(self, spec: Spec) -> Iterator[Servable]:
        """Give the version that a request is for; it stays loaded meanwhile.

        Raises:
            ServingError: there is none.
        """
        servable = self._find(spec)
        servable.users += 1
        try:
            yield servable
        finally:
            servable.users -= 1

    def names(self) -> list[str]:
        return sorted(self._models)

    def status(self, name: str, version: int | None = None) -> list[Version]:
        """Return the versions of a model, or one of them, newest first.

        Raises:
            ServingError: nothing is known of it.
        """
        if not name:
            raise invalid("Missing ModelSpec")
        known = self._models[name].versions if name in self._models else {}
        if version is not None:
            if version not in known:
                raise ServingError(
                    Code.NOT_FOUND,
                    f"Could not find version {version} of model {name}",
                )
            return [known[version]]
        if not known:
            raise ServingError(
                Code.NOT_FOUND, f"Could not find any versions of model {name}"
            )
        return [known[number] for number in sorted(known, reverse=True)]

    def ready(self) -> bool:
        """Return whether each model has a version that serves."""
        return all(model.available() for model in self._models.values())

    async def configure(self, configs: Sequence[ModelConfig]) -> None:
        """Serve these models and no others.

        Raises:
            ServingError: some of them have no version that serves, or a label is for a
                version that doesn't. The others are served.
        """
        async with self._lock:
            wanted = {config.name: config for config in configs}
            for name in set(self._models) - set(wanted):
                model = self._models.pop(name)
                self._unload(model, list(model.versions))
            for name, config in wanted.items():
                self._models.setdefault(name, _Model(config)).config = config
                await self._update(self._models[name])
            self._check_available(wanted)
            for name in wanted:
                self._set_labels(self._models[name])

    async def poll(self) -> None:
        """Look at the folders once, and load and unload what changed there."""
        async with self._lock:
            for model in list(self._models.values()):
                await self._update(model)

    async def close(self) -> None:
        """Unload everything once its requests are answered."""
        async with self._lock:
            for model in self._models.values():
                self._unload(model, list(model.versions))
            self._models.clear()
        await asyncio.gather(*self._unloading)
        self._thread.shutdown()

    def _find(self, spec: Spec) -> Servable:
        model = self._models.get(spec.name)
        number = spec.version
        if spec.label is not None:
            labels = model.labels if model else {}
            if spec.label not in labels:
                raise invalid(f"Unrecognized servable version label: {spec.label}")
            number = labels[spec.label]
        available = model.available() if model else {}
        if number is None and available:
            return available[max(available)]
        if number in available:
            return available[number]
        which = (
            f"Latest({spec.name})"
            if number is None
            else f"Specific({spec.name}, {number})"
        )
        raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {which}")

    async def _update(self, model: _Model) -> None:
        loop = asyncio.get_running_loop()
        wanted = await loop.run_in_executor(self._thread, model.config.wanted)
        for number, folder in wanted.items():
            known = model.versions.get(number)
            if known is not None and known.state is not State.END:
                continue
            stamp = await loop.run_in_executor(self._thread, _stamp, folder)
            if known is not None and known.stamp == stamp:
                continue
            version = Version(number, State.LOADING)
            model.versions[number] = version
            try:
                version.servable = await loop.run_in_executor(
                    self._thread, self._load, model.config.name, number, folder
                )
                version.state = State.AVAILABLE
            except ServingError as error:
                version.state, version.error = State.END, error
                version.stamp = stamp
        available = set(model.available())
        if not wanted or available & set(wanted):
            self._unload(model, sorted(available - set(wanted)))

    def _unload(self, model: _Model, numbers: Sequence[int]) -> None:
        for number in numbers:
            version = model.versions[number]
            if version.state is not State.AVAILABLE:
                continue
            version.state = State.UNLOADING
            task = asyncio.create_task(self._finish(version))
            self._unloading.add(task)
            task.add_done_callback(self._unloading.discard)

    async def _finish(self, version: Version) -> None:
        servable = version.servable
        while servable is not None and servable.users:
            await asyncio.sleep(0.01)
        version.state, version.servable = State.END, None
        if servable is not None:
            await asyncio.get_running_loop().run_in_executor(
                self._thread, servable.close
            )

    def _check_available(self, configs: dict[str, ModelConfig]) -> None:
        failed = []
        for name in configs:
            model = self._models[name]
            if not model.available():
                failed += [
                    f"{{{{name: {name} version: {one.number}}} due to error: "
                    f"{one.error.code}: {one.error.message}}}, "
                    for one in model.versions.values()
                    if one.error is not None
                ] or [f"{{{{name: {name}}} has no version in {model.config.base}}}, "]
        if failed:
            raise ServingError(
                Code.UNKNOWN,
                f"{len(failed)} model(s) did not become available: "
                f"{{{''.join(failed)}}}",
            )

    def _set_labels(self, model: _Model) -> None:
        for _, number in model.config.labels:
            if number not in model.available():
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {number} of model "
                    f"{model.config.name}, which is not currently available for "
                    "inference",
                )
        model.labels = dict(model.config.labels)


def _stamp(folder: Path) -> tuple[int, ...]:
    """Return what changes when anything in a folder does."""
    try:
        found = [folder.stat(), *(one.stat() for one in sorted(folder.rglob("*")))]
    except OSError:
        return ()
    # Copies that keep the times of files still have their own times of change.
    return tuple(number for one in found for number in (one.st_size, one.st_ctime_ns))
