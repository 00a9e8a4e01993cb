import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from mtlzoo._saved_models._operations import only_computes
from mtlzoo._saved_models._stored_graph import StoredGraph
from mtlzoo.errors import ExportError

_SAVES = re.compile(r"SaveV2|SaveSlices|Save|MergeV2Checkpoints")
_RESTORES = re.compile(r"RestoreV2|RestoreSlice|Restore")
"""Operations that write and read weights: in each export, for loading it alone."""

_FILLS_TABLE = re.compile(r"InitializeTableFromTextFile(?:V2)?")
"""Reads a vocabulary: that of the model, which comes with it among its assets."""


def scan(folder: str | Path) -> set[str]:
    """Return the operations of a SavedModel that do more than compute.

    A SavedModel is a program: its graph may hold operations that read and write files,
    call Python or talk to other machines, and a request, or merely loading it, runs
    them. This looks at the graph and its functions without running any of it. Allowed
    is what TensorFlow says has no effect but its result, and the variables, tables and
    random numbers of the model itself; all else is returned, operations that are not
    TensorFlow's included. Operations that load the weights, or fill a table from a
    file of the model's own, may stand where loading runs them and nowhere else.

    Args:
        folder: of one version.

    Returns:
        The names of the operations; empty for a model that only computes.

    Raises:
        ExportError: `saved_model.pb` isn't there, or can't be read.

    Example:

    ```python
    mtlzoo.export.scan("serving/income/1")    # set()
    ```
    """
    folder = Path(folder)
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(path.read_bytes())
    except OSError as error:
        raise ExportError(
            f"Could not find SavedModel .pb at supplied export directory: {folder}"
        ) from error
    except DecodeError as error:
        raise ExportError(
            f"Can't parse {path} as binary proto: it is corrupt"
        ) from error
    return {
        name
        for meta_graph in saved.meta_graphs
        for name in _refused(StoredGraph(meta_graph, folder))
    }


def _refused(graph: StoredGraph) -> Iterator[str]:
    for function, node in graph.places():
        if _FILLS_TABLE.fullmatch(node.op):
            allowed = graph.is_asset(node, 1, function)
        elif _SAVES.fullmatch(node.op) or _RESTORES.fullmatch(node.op):
            allowed = True  # for loading; where else they are is looked at below
        else:
            allowed = only_computes(node.op, graph.functions)
        if not allowed or _prints_to_file(node):
            yield node.op
    for nodes, elsewhere in (
        (graph.run_by_requests(), (_SAVES, _RESTORES, _FILLS_TABLE)),
        (graph.run_at_start(), (_SAVES, _RESTORES)),
        (graph.run_to_restore(), (_SAVES, _FILLS_TABLE)),
    ):
        for node in nodes:
            if any(pattern.fullmatch(node.op) for pattern in elsewhere):
                yield node.op


def _prints_to_file(node: Any) -> bool:
    stream = node.attr["output_stream"].s if node.op == "PrintV2" else b""
    return stream.startswith(b"file")
