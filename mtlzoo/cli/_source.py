"""The options of a class or function, read from its source without importing it."""

import ast
import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mtlzoo._registry import Entry


class Option(NamedTuple):
    """One argument of a constructor or function.

    Attributes:
        name: of the argument.
        default: its source text; `None` where one must be given.
        description: what the docstring says of it.
    """

    name: str
    default: str | None
    description: str


Definition = ast.ClassDef | ast.FunctionDef


def options(entry: Entry) -> list[Option]:
    """Return what an entry's constructor or function takes, in order."""
    found: dict[str, Option] = {}
    descriptions: dict[str, str] = {}
    for definition in _lineage(entry.module, entry.attribute):
        documented = _described(ast.get_docstring(definition) or "")
        descriptions = {**documented, **descriptions}
    for definition in _lineage(entry.module, entry.attribute):
        function = _constructor(definition)
        if function is None:
            continue
        for name, default in _arguments(function):
            option = Option(name, default, descriptions.get(name, ""))
            found.setdefault(name, option)
        if function.args.kwarg is None:
            break  # it passes nothing on to a base class
    return list(found.values())


def _lineage(module: str, attribute: str) -> Iterator[Definition]:
    """Yield a definition and then its bases, as far as their source is at hand."""
    located = _locate(module, attribute)
    if located is None:
        return
    module, definition = located
    yield definition
    for base in getattr(definition, "bases", ()):
        if isinstance(base, ast.Name):
            yield from _lineage(module, base.id)


def _locate(module: str, name: str) -> tuple[str, Definition] | None:
    """Return the definition of `name` as `module` sees it, and where it stands."""
    path = _path(module)
    if path is None:
        return None
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, Definition) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return _locate(node.module, alias.name)
    return None


def _path(module: str) -> Path | None:
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)  # of a top-level package: imports nothing
    for location in (spec and spec.submodule_search_locations) or ():
        base = Path(location).joinpath(*rest)
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


def _constructor(definition: Definition) -> ast.FunctionDef | None:
    if isinstance(definition, ast.FunctionDef):
        return definition
    return next(
        (
            node
            for node in definition.body
            if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        ),
        None,
    )


def _arguments(function: ast.FunctionDef) -> Iterator[tuple[str, str | None]]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    defaults = [*[None] * required, *arguments.defaults, *arguments.kw_defaults]
    for argument, default in zip(
        [*positional, *arguments.kwonlyargs], defaults, strict=True
    ):
        if argument.arg != "self":
            yield argument.arg, ast.unparse(default) if default else None


def _described(docstring: str) -> dict[str, str]:
    """Return the descriptions in the section `Args` of a docstring."""
    section = re.search(r"^Args:\n((?:[ ]{4}.*\n?|\n)+)", docstring, re.MULTILINE)
    if not section:
        return {}
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", inspect.cleandoc(section[1])):
        names, _, text = entry.partition(":")
        for name in names.split(","):
            found[name.strip().lstrip("*")] = " ".join(text.split())
    return found
