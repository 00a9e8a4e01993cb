"""What a SavedModel could do beside computing, found before any of it runs.

A SavedModel is a program. Its graph may hold operations that read and write files, call
Python or talk to other machines, and a request, or merely loading it, runs them.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from mtlzoo.serving._errors import Code, ServingError

_FORBIDDEN = re.compile(
    r"""
    ReadFile|WriteFile|MatchingFiles|FileSystem\w*|ImmutableConst
    |\w*Reader\w*|TFRecord\w*|TextLine\w*|FixedLengthRecord\w*|LMDB\w*
    |\w*PyFunc\w*|PyCall\w*|\w*Dataset\w*|Rpc\w*|TryRpc\w*|\w*Bigtable\w*|\w*BigQuery\w*
    |Debug\w*|\w*Summary(?:Writer|FileWriter|DbWriter|Interface)\w*|Write\w*Summary
    |LoadAndRemapMatrix|GenerateVocabRemapping|ConfigureDistributed\w*|\w*Dump\w*
    |Collective\w*|_Send|_Recv|_Host(?:Send|Recv)|(?:Decode|Encode)Proto\w*
    """,
    re.VERBOSE,
)
"""Operations for files, Python and networks, by name."""

_SAVER = re.compile(
    r"(?:Save|Restore)(?:V2|Slices?)?|MergeV2Checkpoints|LoadAll\w*|CheckpointsV?\d*"
)
"""Operations that read and write weights: in each export, for loading it alone."""


def scan(folder: Path) -> set[str]:
    """Return the operations of the model in `folder` that a server should not run.

    Those that load the weights may stand where loading runs them; the same in reach of
    a request could read or write other files.

    Raises:
        ServingError: `saved_model.pb` isn't there, or can't be read.
    """
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(path.read_bytes())
    except OSError as error:
        raise ServingError(
            Code.NOT_FOUND,
            f"Could not find SavedModel .pb at supplied export directory: {folder}",
        ) from error
    except DecodeError as error:
        raise ServingError(
            Code.DATA_LOSS, f"Can't parse {path} as binary proto: it is corrupt"
        ) from error
    return {name for graph in saved.meta_graphs for name in _of_graph(graph)}


def _of_graph(meta_graph: Any) -> Iterator[str]:
    functions = {
        one.signature.name: one for one in meta_graph.graph_def.library.function
    }
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    for node in _all_nodes(nodes.values(), functions):
        if _FORBIDDEN.fullmatch(node.op) or _prints_to_file(node):
            yield node.op
    for node in _reached(_request_nodes(meta_graph), nodes, functions):
        if _SAVER.fullmatch(node.op):
            yield node.op


def _prints_to_file(node: Any) -> bool:
    stream = node.attr["output_stream"].s if node.op == "PrintV2" else b""
    return stream.startswith(b"file")


def _request_nodes(meta_graph: Any) -> Iterator[str]:
    """Yield the nodes that requests and initialization run."""
    for signature in meta_graph.signature_def.values():
        for tensor in signature.outputs.values():
            yield tensor.name
            sparse = tensor.coo_sparse
            yield from filter(None, (sparse.values_tensor_name,))
            yield from (one.name for one in tensor.composite_tensor.components)
    for name in ("saved_model_main_op", "legacy_init_op"):
        if name in meta_graph.collection_def:
            yield from meta_graph.collection_def[name].node_list.value


def _all_nodes(nodes: Iterable[Any], functions: dict[str, Any]) -> Iterator[Any]:
    yield from nodes
    for function in functions.values():
        yield from function.node_def


def _reached(
    starts: Iterable[str], nodes: dict[str, Any], functions: dict[str, Any]
) -> Iterator[Any]:
    """Yield the nodes that `starts` need, with those of each function they call."""
    waiting, seen = [_node_name(start) for start in starts], set[str]()
    called: list[str] = []
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        yield nodes[name]
        waiting += map(_node_name, nodes[name].input)
        called += _calls(nodes[name])
    done = set[str]()
    while called:
        name = called.pop()
        if name in done or name not in functions:
            continue
        done.add(name)
        for node in functions[name].node_def:
            yield node
            called += _calls(node)


def _calls(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (one.name for one in value.list.func)
    yield node.op  # a function may be called as an operation of its name


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
