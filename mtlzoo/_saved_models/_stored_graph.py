"""The graph of a SavedModel, to look at without loading it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import meta_graph_pb2

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_READ_AND_ASSIGN = {"AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp"}
_MAIN_OPS = ("saved_model_main_op", "legacy_init_op")
_MAIN_SIGNATURE = "__saved_model_init_op"
_ASSETS = "saved_model_assets"

_Places = frozenset[tuple[str, str | None]]


class StoredGraph:
    """Nodes and functions, and what runs which.

    Args:
        meta_graph: as `saved_model.pb` holds it.
        folder: of the SavedModel.

    Attributes:
        nodes: those outside functions, by name.
        functions: by name.
    """

    def __init__(self, meta_graph: Any, folder: Path) -> None:
        self._meta_graph = meta_graph
        self._assets = {
            node_name(one.tensor_info.name)
            for one in _asset_files(meta_graph)
            if _is_inside(folder / "assets" / one.filename, folder)
        }
        graph = meta_graph.graph_def
        self.nodes = {node.name: node for node in graph.node}
        self.functions = {one.signature.name: one for one in graph.library.function}

    def places(self) -> Iterator[tuple[str | None, Any]]:
        """Yield every node with the function that it is in, `None` if in none."""
        for node in self.nodes.values():
            yield None, node
        for name, function in self.functions.items():
            for node in function.node_def:
                yield name, node

    def run_by_requests(self) -> Iterator[Any]:
        """Yield the nodes that what the signatures give needs."""
        yield from self._needed(
            name
            for key, signature in self._meta_graph.signature_def.items()
            if key != _MAIN_SIGNATURE
            for tensor in signature.outputs.values()
            for name in _tensor_names(tensor)
        )

    def run_at_start(self) -> Iterator[Any]:
        """Yield the nodes that run once the weights are loaded, such as for tables."""
        starts = [
            name
            for key in _MAIN_OPS
            if key in self._meta_graph.collection_def
            for name in self._meta_graph.collection_def[key].node_list.value
        ]
        signature = self._meta_graph.signature_def.get(_MAIN_SIGNATURE)
        if signature is not None:
            starts += [tensor.name for tensor in signature.outputs.values()]
        yield from self._needed(starts)

    def run_to_restore(self) -> Iterator[Any]:
        """Yield the nodes that load the weights."""
        yield from self._needed([self._meta_graph.saver_def.restore_op_name])

    def is_asset(self, node: Any, index: int, function: str | None) -> bool:
        """Return whether an input of a node is surely the path of a file in `assets`.

        Args:
            node: the node.
            index: of the input.
            function: that the node is in, `None` if in none.
        """
        return self._is_asset(_input(node, index), function, frozenset())

    def _is_asset(self, name: str, function: str | None, seen: _Places) -> bool:
        if (name, function) in seen:  # a graph that no one could run
            return False
        seen |= {(name, function)}
        if function is not None:
            arguments = self.functions[function].signature.input_arg
            names = [one.name for one in arguments]
            return name in names and self._always_passed_an_asset(
                function, names.index(name), seen
            )
        if name in self._assets:
            return True
        node = self.nodes.get(name)
        if node is not None and node.op == "Identity":
            return self._is_asset(_input(node, 0), None, seen)
        if node is not None and node.op == "ReadVariableOp":
            return self._holds_an_asset(_input(node, 0))
        return False

    def _always_passed_an_asset(self, function: str, index: int, seen: _Places) -> bool:
        calls = [
            (where, node)
            for where, node in self.places()
            if function in _called_by(node)
        ]
        return bool(calls) and all(
            node.op in (*_CALLS, function)
            and self._is_asset(_input(node, index), where, seen)
            for where, node in calls
        )

    def _holds_an_asset(self, variable: str) -> bool:
        """Return whether that is a variable to which only assets are ever assigned."""
        handle = self.nodes.get(variable)
        if handle is None or handle.op != "VarHandleOp":
            return False
        same = [
            node
            for _, node in self.places()
            if node.op == "VarHandleOp" and _shared_name(node) == _shared_name(handle)
        ]
        users = [
            node
            for node in self.nodes.values()
            if variable in map(node_name, node.input)
        ]
        assigned = [_input(one, 1) for one in users if one.op == "AssignVariableOp"]
        return (
            len(same) == 1
            and {one.op for one in users} <= _READ_AND_ASSIGN
            and bool(assigned)
            and self._assets.issuperset(assigned)
        )

    def _needed(self, starts: Iterable[str]) -> Iterator[Any]:
        waiting, seen = [node_name(start) for start in starts], set[str]()
        called: list[str] = []
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self.nodes:
                continue
            seen.add(name)
            yield self.nodes[name]
            waiting += map(node_name, self.nodes[name].input)
            called += _called_by(self.nodes[name])
        done = set[str]()
        while called:
            name = called.pop()
            if name in done or name not in self.functions:
                continue
            done.add(name)
            for node in self.functions[name].node_def:
                yield node
                called += _called_by(node)


def node_name(tensor: str) -> str:
    """Return the name of the node that gives a tensor."""
    return tensor.removeprefix("^").partition(":")[0]


def _input(node: Any, index: int) -> str:
    return node_name(node.input[index]) if index < len(node.input) else ""


def _shared_name(node: Any) -> tuple[bytes, bytes]:
    name = node.attr["shared_name"].s or node.name.encode()
    return node.attr["container"].s, name


def _called_by(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (one.name for one in value.list.func)
    yield node.op  # a function may be called as an operation of its name


def _tensor_names(tensor: Any) -> Iterator[str]:
    yield tensor.name
    yield from filter(None, (tensor.coo_sparse.values_tensor_name,))
    yield from (one.name for one in tensor.composite_tensor.components)


def _asset_files(meta_graph: Any) -> Iterator[Any]:
    yield from meta_graph.asset_file_def
    if _ASSETS in meta_graph.collection_def:
        for packed in meta_graph.collection_def[_ASSETS].any_list.value:
            found = meta_graph_pb2.AssetFileDef()
            packed.Unpack(found)
            yield found


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve() / "assets")
