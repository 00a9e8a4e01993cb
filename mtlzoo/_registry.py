"""Registries: how a name becomes a class, without importing what nobody asked for.

Each family (architectures, trunks, balancing, ...) is one `Registry`. A class joins by
a decorator on its definition::

    @ARCHITECTURES.register("mmoe", paper="Ma et al., KDD 2018")
    class MMoE(Sharing): ...

That line is the only place where the name and its facts stand. To list a family, the
registry reads the decorators from the source of the package with `ast`: nothing is
imported, so listing costs milliseconds and never loads TensorFlow. To get a class it
imports the one module that defines it.
"""

import ast
import dataclasses
import difflib
import fnmatch
import functools
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from mtlzoo.errors import UnknownNameError

PLUGIN_GROUP = "mtlzoo.plugins"

Class = TypeVar("Class", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is known of a registered name without importing it.

    Attributes:
        name: the registered name.
        module: the module that defines it.
        attribute: the class or function in that module.
        summary: the first line of its docstring.
        facts: the keyword arguments of `register`, such as `paper`.
    """

    name: str
    module: str
    attribute: str
    summary: str = ""
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


class Registry:
    """The names of one family, and the class behind each.

    Plugins: a distribution may add entries with an entry point of the group
    `mtlzoo.plugins`, named `<noun>:<name>`, whose value is `module:Class`. Such entries
    are listed from the metadata alone.

    Args:
        noun: what one entry is called in messages, such as `"architecture"`.
        variable: the name of the variable that holds this registry, by which its
            decorators are recognised in the source.
        package: the package whose modules register entries.
    """

    def __init__(self, noun: str, variable: str, package: str) -> None:
        self.noun = noun
        self._variable = variable
        self._package = package
        self._registered: dict[str, Any] = {}
        self._facts: dict[str, Entry] = {}
        self._found: dict[str, Entry] | None = None

    def __repr__(self) -> str:
        return f"Registry({self.noun!r})"

    def register(self, name: str, **facts: Any) -> Callable[[Class], Class]:
        """Return a decorator that registers a class or function under `name`.

        Args:
            name: the public name, such as `"mmoe"`.
            **facts: literals that describe the entry, shown by `mtlzoo show`.

        Raises:
            ValueError: another class has that name already.
        """

        def decorate(definition: Class) -> Class:
            entry = Entry(
                name=name,
                module=definition.__module__,
                attribute=definition.__qualname__,
                summary=_first_line(definition.__doc__),
                facts=facts,
            )
            self._refuse_duplicate(entry, self._facts)
            self._refuse_duplicate(entry, self._entries())
            self._registered[name] = definition
            self._facts[name] = entry
            return definition

        return decorate

    def get(self, name: str) -> Any:
        """Return the class or function registered as `name`.

        Raises:
            UnknownNameError: nothing has that name; the message lists close ones.
        """
        entry = self.entry(name)
        if name not in self._registered:
            module = importlib.import_module(entry.module)
            self._registered.setdefault(name, getattr(module, entry.attribute))
        return self._registered[name]

    def entry(self, name: str) -> Entry:
        """Return the facts about `name`; nothing is imported.

        Raises:
            UnknownNameError: nothing has that name; the message lists close ones.
        """
        entries = self._all()
        if name not in entries:
            raise UnknownNameError(unknown_name(self.noun, name, entries))
        return entries[name]

    def list(self, pattern: str | Iterable[str] = "*") -> list[str]:
        """Return the sorted names that match one wildcard pattern or any of several."""
        patterns = [pattern] if isinstance(pattern, str) else list(pattern)
        return sorted(
            name
            for name in self._all()
            if any(fnmatch.fnmatchcase(name, one) for one in patterns)
        )

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def _all(self) -> dict[str, Entry]:
        return {**self._entries(), **self._facts}

    def _entries(self) -> dict[str, Entry]:
        """Entries found in our own source and in the metadata of plugins."""
        if self._found is None:
            found: dict[str, Entry] = {}
            for entry in [*self._scan(), *self._plugins()]:
                self._refuse_duplicate(entry, found)
                found[entry.name] = entry
            self._found = found
        return self._found

    def _refuse_duplicate(self, entry: Entry, known: dict[str, Entry]) -> None:
        other = known.get(entry.name)
        if other and (other.module, other.attribute) != (entry.module, entry.attribute):
            raise ValueError(
                f"The {self.noun} {entry.name!r} is registered twice: by "
                f"{other.module}.{other.attribute} and by "
                f"{entry.module}.{entry.attribute}. Give one of them another name."
            )

    def _scan(self) -> Iterable[Entry]:
        root = Path(__file__).parent.joinpath(*self._package.split(".")[1:])
        for path in sorted(root.rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if f"@{self._variable}.register(" not in source:
                continue
            parts = path.relative_to(root).with_suffix("").parts
            module = ".".join([self._package, *parts])
            for node in ast.parse(source).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef):
                    yield from self._decorated(node, module)

    def _decorated(
        self, node: ast.ClassDef | ast.FunctionDef, module: str
    ) -> Iterable[Entry]:
        for call in node.decorator_list:
            if not isinstance(call, ast.Call):
                continue
            if ast.unparse(call.func) != f"{self._variable}.register":
                continue
            facts = {
                keyword.arg: ast.literal_eval(keyword.value)
                for keyword in call.keywords
                if keyword.arg
            }
            yield Entry(
                name=ast.literal_eval(call.args[0]),
                module=module,
                attribute=node.name,
                summary=_first_line(ast.get_docstring(node)),
                facts=facts,
            )

    def _plugins(self) -> Iterable[Entry]:
        prefix = f"{self.noun}:"
        for point in _plugin_points():
            if point.name.startswith(prefix):
                yield Entry(
                    name=point.name.removeprefix(prefix),
                    module=point.module,
                    attribute=point.attr,
                    summary=f"From the plugin {point.dist.name if point.dist else '?'}",
                )


@functools.cache
def _plugin_points() -> tuple[importlib.metadata.EntryPoint, ...]:
    """Return what installed distributions add; reading it takes a while."""
    return tuple(importlib.metadata.entry_points(group=PLUGIN_GROUP))


def unknown_name(noun: str, name: object, known: Iterable[str]) -> str:
    """Return the message for an unknown name: what is close, and what there is.

    Args:
        noun: what it names, such as `"trunk"` or `"option of the trunk 'cnn'"`.
        name: the name.
        known: the names that there are.
    """
    known = sorted(known)
    hint = did_you_mean(name, known)
    kind, *owner = re.split(r"(?= (?:of|in) )", noun, maxsplit=1)
    there = ", ".join(known) or "none"
    return f"There is no {kind} {name!r}{''.join(owner)}.{hint} Known: {there}."


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return the sentence that offers close names, after a space; empty for none."""
    close = difflib.get_close_matches(str(name), list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().split("\n", 1)[0]


ARCHITECTURES = Registry("architecture", "ARCHITECTURES", "mtlzoo.sharing")
TRUNKS = Registry("trunk", "TRUNKS", "mtlzoo.trunks")
BASES = Registry("base", "BASES", "mtlzoo.trunks")
TASKS = Registry("task kind", "TASKS", "mtlzoo.tasks")
FEATURES = Registry("feature", "FEATURES", "mtlzoo.features")
BALANCING = Registry("balancing", "BALANCING", "mtlzoo.balancing")
DATASETS = Registry("data set", "DATASETS", "mtlzoo.datasets")
