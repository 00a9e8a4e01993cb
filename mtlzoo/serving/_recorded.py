"""What the requests recorded with a version tell of it: rows to try, names of classes.

The page shows them. A version without recorded requests is shown without them.
"""

import math
from collections.abc import Iterator
from typing import Any

from mtlzoo.serving import _plans
from mtlzoo.serving._examples import from_input
from mtlzoo.serving._servable import Servable
from mtlzoo.serving._tensors import to_array
from mtlzoo.serving._warmup import read

MAX_VALUES = 64
"""Of one row of an input; a picture has more, and is dropped onto the page instead."""

_PREFIX = "classify_"


def facts(servable: Servable) -> dict[str, Any]:
    """Return rows of `serving_default`, and the classes of each task that has some."""
    rows: list[dict[str, Any]] = []
    classes = {}
    for log in read(servable.folder):
        kind = log.WhichOneof("log_type")
        if kind == "predict_log":
            request = log.predict_log.request
            if request.model_spec.signature_name in ("", _plans.DEFAULT):
                rows = max(rows, list(_rows(request)), key=len)
        elif kind == "classify_log":
            request = log.classify_log.request
            name = request.model_spec.signature_name
            if name.startswith(_PREFIX):
                classes[name.removeprefix(_PREFIX)] = _classes(servable, request)
    return {"rows": rows, "classes": classes}


def _rows(request: Any) -> Iterator[dict[str, Any]]:
    columns = {name: to_array(one) for name, one in request.inputs.items()}
    if any(array.ndim == 0 for array in columns.values()):
        return
    for row in range(min(map(len, columns.values()), default=0)):
        yield {
            name: _as_json(array[row].tolist() if array.ndim > 1 else array[row])
            for name, array in columns.items()
            if array[row : row + 1].size <= MAX_VALUES
        }


def _as_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_json(one) for one in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    value = value.item() if hasattr(value, "item") else value
    # What is no number can't be typed either.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _classes(servable: Servable, request: Any) -> list[str]:
    plan = _plans.plan_examples(
        servable,
        request.model_spec.signature_name,
        _plans.CLASSIFY,
        from_input(request.input)[:1],
    )
    arrays = dict(
        zip(plan.outputs, servable.run(plan.feeds, plan.fetches), strict=True)
    )
    return [label for label, _ in _plans.as_classes(plan, arrays)[0]]
