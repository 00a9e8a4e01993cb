"""One version of a model in memory, run as TensorFlow Serving runs it."""

import collections
import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from mtlzoo.errors import ExportError
from mtlzoo.export import scan
from mtlzoo.serving._errors import Code, ServingError, from_tensorflow

_MAX_CALLABLES = 64
"""Combinations of inputs and outputs that stay prepared."""

_SMALL = 1 << 14
"""Bytes of inputs, up to which the last run tells how long the next one takes."""


class Servable:
    """A loaded SavedModel: a session, and what runs in it.

    Args:
        name: of the model.
        version: its number.
        folder: of the version.
        trusted: run what it holds, files and Python included.
        timeout: seconds after which a run ends with an error.

    Raises:
        ServingError: it can't be loaded, or does what the server should not run.
    """

    def __init__(
        self,
        name: str,
        version: int,
        folder: Path,
        *,
        trusted: bool = False,
        timeout: float = 30.0,
    ) -> None:
        self.name = name
        self.version = version
        self.folder = folder
        self._timeout = timeout
        self._callables: collections.OrderedDict[Any, _Prepared] = (
            collections.OrderedDict()
        )
        self._lock = threading.Lock()
        refused = set() if trusted else _scanned(folder)
        if refused:
            raise ServingError(
                Code.PERMISSION_DENIED,
                f"{name} version {version} holds operations for files, Python or other "
                f"machines: {', '.join(sorted(refused))}. If you trust who made it, "
                "serve it with --trust.",
            )
        with errors_of_tensorflow(), quiet():
            graph = tf.Graph()
            self._session = tf.compat.v1.Session(graph=graph)
            try:
                with graph.as_default():
                    meta_graph = tf.compat.v1.saved_model.load(
                        self._session, [tf.saved_model.SERVING], str(folder)
                    )
            except BaseException:
                self._session.close()
                raise
        self.signatures: Mapping[str, Any] = dict(meta_graph.signature_def.items())
        self.meta_graph = meta_graph
        self.users = 0
        """Requests at work on it, as counted by who hands it out."""

    def run(
        self,
        feeds: Sequence[tuple[str, Any]],
        fetches: Sequence[str],
        *,
        here: bool = False,
    ) -> list[Any]:
        """Return the tensors named `fetches` for arrays by tensor name.

        May be called from several threads; each run releases the interpreter's lock.

        Args:
            feeds: arrays by tensor name.
            fetches: names of tensors.
            here: compute in the calling thread, which is right for what is quick, and
                not in those that TensorFlow keeps for operations.

        Raises:
            ServingError: what TensorFlow said.
        """
        with errors_of_tensorflow():
            prepared = self._prepared(feeds, fetches)
            run = prepared.run_here if here else prepared.run
            started = time.perf_counter()
            found: list[Any] = run(*(array for _, array in feeds))
            # One run that had to wait for a core says little; several do.
            seconds = time.perf_counter() - started
            prepared.seconds = min(seconds, 1.5 * prepared.seconds)
        # A single string comes as bytes, where everything else comes as an array.
        return [np.array(one, object) if type(one) is bytes else one for one in found]

    def expected(
        self, feeds: Sequence[tuple[str, Any]], fetches: Sequence[str]
    ) -> float:
        """Return the seconds that a run will take; infinite where that isn't known."""
        key = (tuple(name for name, _ in feeds), tuple(fetches))
        prepared = self._callables.get(key)
        if prepared is None or sum(array.nbytes for _, array in feeds) > _SMALL:
            return float("inf")
        return prepared.seconds

    def close(self) -> None:
        """Free the memory; runs fail from then on."""
        self._callables.clear()
        self._session.close()

    def _prepared(
        self, feeds: Sequence[tuple[str, Any]], fetches: Sequence[str]
    ) -> "_Prepared":
        # The session's public make_callable goes through Session.run as soon as it is
        # fed anything, which costs 0.1 ms a call; this one 0.015 ms.
        names = tuple(name for name, _ in feeds)
        key = (names, tuple(fetches))
        with self._lock:
            if key not in self._callables:
                options = config_pb2.CallableOptions(
                    feed=names, fetch=[_endpoint(one) for one in fetches]
                )
                options.run_options.timeout_in_ms = int(self._timeout * 1000)
                run = self._session._make_callable_from_options(options)
                options.run_options.inter_op_thread_pool = -1
                run_here = self._session._make_callable_from_options(options)
                self._callables[key] = _Prepared(run, run_here)
            self._callables.move_to_end(key)
            if len(self._callables) > _MAX_CALLABLES:
                self._callables.popitem(last=False)
            return self._callables[key]


def _scanned(folder: Path) -> set[str]:
    try:
        return scan(folder)
    except ExportError as error:
        there = (folder / "saved_model.pb").exists()
        code = Code.DATA_LOSS if there else Code.NOT_FOUND
        raise ServingError(code, str(error)) from error


@dataclasses.dataclass
class _Prepared:
    """One combination of inputs and outputs, with how long its last run took."""

    run: Any
    run_here: Any
    seconds: float = float("inf")


@contextlib.contextmanager
def errors_of_tensorflow() -> Iterator[None]:
    """Turn what TensorFlow raises into errors with a status."""
    try:
        yield
    except tf.errors.OpError as error:
        raise from_tensorflow(error) from error
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        if isinstance(error, ServingError):
            raise
        raise ServingError(Code.INVALID_ARGUMENT, str(error)) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep back TensorFlow's advice to load, and read, as no server does."""
    logger = tf.get_logger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _endpoint(name: str) -> str:
    return name if ":" in name else f"{name}:0"
