"""Recipes: all that a published set of weights is made of, in one file.

```yaml
name: mmoe.adult
version: 1
description: Income and marital status of people of the 1994 US census.
license: Apache-2.0
seeds: 5
baseline: true
run:                      # what `mtlzoo train` takes, see `Settings`
  dataset: adult
  architecture: mmoe
  options: {num_experts: 4}
  epochs: 20
  patience: 3
provenance: Who collected the data, and how.
use: What the weights are for.
limits: What they are not for.
papers: [https://doi.org/10.1145/3219819.3220007]
```
"""

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any

from mtlzoo._registry import DATASETS, unknown_name
from mtlzoo.cli._cells import BASELINE
from mtlzoo.cli._settings import Settings
from mtlzoo.errors import DataError


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a set of weights is made, and what is said of it.

    Attributes:
        name: of the bundle, `<architecture>.<tag>`.
        version: of the bundle.
        description: one sentence.
        license: of the weights, an SPDX expression.
        run: the training, without its seed.
        seeds: how many times it is trained, with the seeds 0, 1, ...
        baseline: whether single-task networks are trained beside it, as often.
        provenance: who collected the data, how, and what was changed.
        use: what the weights are for.
        limits: what they are not for, and what they do badly.
        papers: of the method and the data: titles or links.
    """

    name: str
    version: int
    description: str
    license: str
    run: Settings
    seeds: int
    provenance: str
    use: str
    limits: str
    baseline: bool = True
    papers: tuple[str, ...] = ()

    @property
    def cells(self) -> list[Settings]:
        """All trainings, seeds outermost."""
        pair = [self.run]
        if self.baseline:
            baseline = dataclasses.replace(
                self.run,
                architecture=BASELINE,
                options={},
                balancing="equal",
                balancing_options={},
            )
            pair.append(baseline)
        return [
            dataclasses.replace(one, seed=seed)
            for seed in range(self.seeds)
            for one in pair
        ]

    @property
    def base(self) -> str | None:
        """The bundle whose weights the trunk keeps, where there is one."""
        options = self.run.trunk_options
        frozen = self.run.trunk == "pretrained" and options.get("trainable") is False
        return str(options["base"]) if frozen else None

    @property
    def data_license(self) -> str:
        return str(DATASETS.entry(self.run.dataset).facts["licence"])

    @property
    def data_source(self) -> str:
        return str(DATASETS.entry(self.run.dataset).facts["source"])


def read(path: Path) -> Recipe:
    """Return the recipe in a YAML file, checked.

    Raises:
        DataError: it isn't there or not YAML, or lacks an entry, has one of another
            type, or one that recipes don't have.
        UnknownNameError: nothing has the name of its data set, architecture, ...
        OptionError: what it names has no such option.
    """
    import yaml

    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(
            f"The recipe {str(path)!r} can't be read: {error.strerror}."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"The recipe {str(path)!r} is not YAML: {error}") from error
    entries = _entries(Recipe, data, f"The recipe {str(path)!r}")
    run = _entries(Settings, entries["run"], f"`run` of {str(path)!r}")
    if "seed" in run:
        raise DataError(
            f"`run` of {str(path)!r} must not set `seed`: `seeds` says how many there "
            "are, from 0."
        )
    papers = tuple(map(str, entries.pop("papers", None) or ()))
    recipe = Recipe(**{**entries, "run": Settings(**run)}, papers=papers)
    if recipe.seeds < 1 or recipe.version < 1:
        raise DataError(
            f"`seeds` and `version` of {str(path)!r} must be at least 1. Received: "
            f"seeds={recipe.seeds}, version={recipe.version}."
        )
    recipe.run.check()
    return recipe


def _entries(cls: Any, data: Any, what: str) -> dict[str, Any]:
    """Return `data` if it has the fields that `cls` needs, of their types, alone."""
    if not isinstance(data, dict):
        raise DataError(f"{what} must be a mapping. Received: {type(data).__name__}.")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in data:
        if key not in fields:
            raise DataError(unknown_name(f"entry of a recipe ({what})", key, fields))
    hints = typing.get_type_hints(cls)
    for name, field in fields.items():
        needed = (
            field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        )
        if needed and name not in data:
            raise DataError(f"{what} needs the entry {name!r}.")
        if name in data and not _fits(data[name], hints[name]):
            raise DataError(
                f"{what}: {name!r} must be {_in_words(hints[name])}. Received: "
                f"{data[name]!r}."
            )
    return dict(data)


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value, as YAML has it, is of a type, as Python has it."""
    if isinstance(hint, types.UnionType):
        return any(_fits(value, one) for one in typing.get_args(hint))
    origin: Any = typing.get_origin(hint) or hint
    if isinstance(value, bool):
        return origin is bool
    in_yaml: dict[Any, Any] = {Settings: dict, tuple: list, float: (int, float)}
    expected: Any = in_yaml.get(origin, origin)
    return isinstance(value, expected)


def _in_words(hint: Any) -> str:
    words = {
        str: "a text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        type(None): "null",
        dict: "a mapping",
        Settings: "a mapping",
    }
    if isinstance(hint, types.UnionType):
        return " or ".join(map(_in_words, typing.get_args(hint)))
    return words.get(typing.get_origin(hint) or hint, "a list")
