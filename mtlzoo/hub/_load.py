import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtlzoo import _bundles, transfer
from mtlzoo._bundles import Bundle
from mtlzoo._registry import unknown_name
from mtlzoo.errors import BundleError, UnknownNameError
from mtlzoo.hub._report import LoadReport
from mtlzoo.model import MultiTaskModel
from mtlzoo.tasks import Task

_LOG = logging.getLogger("mtlzoo.hub")


def load(
    name: str | Path,
    *,
    version: int | None = None,
    heads: Mapping[str, Task | None] | None = None,
    check_golden: bool = False,
) -> Any:
    """Return a pretrained model, ready to predict, evaluate and train further.

    Loading is strict: every weight of the model has its value from the bundle, and no
    value is left over; nothing of the bundle runs but layers of mtlzoo and of Keras.
    Every file is compared with its published hash first. What was loaded stands in the
    model's attribute `load_report`.

    Args:
        name: of `mtlzoo.list_pretrained()`, such as `"mmoe.adult"`; it is fetched from
            a mirror if it neither comes with mtlzoo nor is in the cache. Or
            `"hf://org/repo@revision"`. Or a folder, as a `Path` or a string that starts
            with `./` or `/`; a bare name never means a folder.
        version: by default the newest.
        heads: for tasks that are not to stay as they are: by the name of the published
            task, the task that takes its place, with a new head that is yet to be
            trained; or `None` to leave it out.
        check_golden: whether the model must answer the bundle's golden inputs as it
            did when it was published, to 1e-5.

    Raises:
        UnknownNameError: nothing has that name, or the bundle no such task.
        BundleError: the bundle is damaged, altered, or asks for more than layers.
        DownloadError: it can't be fetched; the message says what to do.

    Example:

    ```python
    model = mtlzoo.load("mmoe.adult")
    model.predict(rows)
    model = mtlzoo.load("mmoe.adult", heads={"income": tasks.Regression("wage")})
    model.fit(rows, {"wage": wages})
    ```
    """
    bundle = _bundles.find(name, version)
    model = _bundles.build_model(bundle)
    if check_golden:
        _bundles.check_golden(model, bundle)
    changes = dict(heads or {})
    published = [task.name for task in bundle.info.tasks]
    for task in changes:
        if task not in published:
            raise UnknownNameError(
                unknown_name(f"head of {bundle.info.name!r}", task, published)
            )
    report = _report(bundle, changes)
    if changes:
        model = _with_heads(model, changes)
    model.load_report = report
    _LOG.info("%s", report)
    return model


def load_head(
    name: str | Path,
    *,
    onto: MultiTaskModel,
    version: int | None = None,
    tasks: Sequence[str] | None = None,
) -> MultiTaskModel:
    """Return a model with the head of a bundle added, on the base that both stand on.

    Heads that were trained apart on one frozen base run in one model on one pass of the
    base, and each predicts what it predicts alone. So the base must be the same to the
    last bit: its fingerprint is compared.

    Args:
        name: of a bundle that stands on a base, as for `load`.
        onto: a model on that base, such as one that `load` gave. Its layers become
            those of the model that is returned.
        version: of the bundle; by default the newest.
        tasks: which of the bundle's tasks; by default all.

    Raises:
        BundleError: the bundle has no base, or `onto` stands on another.
        TaskError: `onto` has a task of that name.
        UnknownNameError: nothing has that name, or the bundle no such task.

    Example:

    ```python
    model = mtlzoo.load("garments.efficientnet_lite0")
    model = mtlzoo.load_head("digits.efficientnet_lite0", onto=model)
    model.predict(photos)    # answers of both
    ```
    """
    bundle = _bundles.find(name, version)
    base = bundle.info.base
    if base is None:
        raise BundleError(
            f"{bundle.info.name!r} stands on no base, so it has no head that another "
            "model could take. Load it by itself: mtlzoo.load"
        )
    source = _bundles.build_model(bundle)
    known = {task.name: task for task in source.tasks}
    wanted = list(known) if tasks is None else list(tasks)
    for task in wanted:
        if task not in known:
            raise UnknownNameError(
                unknown_name(f"head of {bundle.info.name!r}", task, known)
            )
    _check_inputs(onto, source)
    made = onto
    for task in wanted:
        made = transfer.graft(made, source, task)
    left = tuple(task for task in known if task not in wanted)
    made.load_report = LoadReport(
        name=bundle.info.name,
        version=bundle.info.version,
        base=f"{base.name} {base.version}",
        loaded=tuple(f"heads.{task}" for task in wanted),
        left_out=left,
    )
    _LOG.info("%s", made.load_report)
    return made


def _report(bundle: Bundle, changes: Mapping[str, Task | None]) -> LoadReport:
    info = bundle.info
    kept = [one.name for one in info.tasks if one.name not in changes]
    return LoadReport(
        name=info.name,
        version=info.version,
        base=f"{info.base.name} {info.base.version}" if info.base else None,
        loaded=("shared", *(f"heads.{task}" for task in kept)),
        replaced=tuple((old, new.name) for old, new in changes.items() if new),
        left_out=tuple(old for old, new in changes.items() if new is None),
    )


def _with_heads(
    model: MultiTaskModel, changes: Mapping[str, Task | None]
) -> MultiTaskModel:
    """Return the model with some heads replaced and others left out."""
    if not any(changes.values()) and len(changes) == len(model.tasks):
        raise BundleError(
            "A model needs at least one task; all were left out. For features alone: "
            "model.representation_model"
        )
    for old, new in changes.items():
        if new is not None and new.name == old:
            model = transfer.replace_head(model, new)
        elif new is not None:
            model = transfer.add_head(model, new, like=old)
    for old, new in changes.items():
        if new is None or new.name != old:
            model = transfer.drop_head(model, old)
    return model


def _check_inputs(onto: MultiTaskModel, source: MultiTaskModel) -> None:
    """Refuse inputs other than those that a head was trained with."""
    there = {one.name: one for one in onto.inputs}
    for one in source.inputs:
        own = there.get(one.name)
        if own is None:
            raise BundleError(
                f"The head needs the input {one.name!r}, which {onto.name!r} doesn't "
                f"have. Its inputs: {', '.join(there)}."
            )
        if (own.shape, own.dtype) != (one.shape, one.dtype):
            raise BundleError(
                f"The input {one.name!r} of {onto.name!r} has the shape "
                f"{tuple(own.shape[1:])} and the type {own.dtype}. The head was "
                f"trained with {tuple(one.shape[1:])} and {one.dtype}."
            )
