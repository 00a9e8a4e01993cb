"""What one training run is made of, checked before anything heavy is loaded."""

import ast
import dataclasses
from collections.abc import Iterable
from typing import Any

from mtlzoo._registry import ARCHITECTURES, BALANCING, DATASETS, TRUNKS, unknown_name
from mtlzoo.cli._source import options
from mtlzoo.errors import OptionError

SCHEDULES = ("constant", "cosine")


@dataclasses.dataclass(frozen=True)
class Settings:
    """One run, by names and plain values; `run.json` holds them.

    Attributes:
        dataset: a name of `mtlzoo list datasets`.
        architecture: a name of `mtlzoo list architectures`.
        trunk: a name of `mtlzoo list trunks`; `None` for what suits the inputs.
        balancing: a name of `mtlzoo list balancing`.
        dataset_options, options, trunk_options, balancing_options: arguments of each.
        epochs: how often the training rows are seen.
        batch_size: rows a step.
        learning_rate: of Adam.
        seed: of the initial weights and the order of the rows.
        rows: how many training rows are used; `None` for all.
        tasks: which of the data set's tasks are learned; `None` for all.
        head: arguments of `mtlzoo.heads.Tower`, for every task.
        schedule: of the learning rate: `"constant"`, or `"cosine"`, down to 0.
        patience: after how many epochs without a lower validation loss training stops,
            and the weights of the lowest are taken; `None` for never.
        cache_features: whether a frozen trunk's features are computed once, and the
            heads trained on these.
    """

    dataset: str
    architecture: str
    trunk: str | None = None
    balancing: str = "equal"
    dataset_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    trunk_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    balancing_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    epochs: int = 5
    batch_size: int = 256
    learning_rate: float = 1e-3
    seed: int = 0
    rows: int | None = None
    tasks: list[str] | None = None
    head: dict[str, Any] = dataclasses.field(default_factory=dict)
    schedule: str = "constant"
    patience: int | None = None
    cache_features: bool = False

    def check(self) -> None:
        """Refuse names and options that there are not.

        Raises:
            UnknownNameError: nothing has that name; the message lists close ones.
            OptionError: what was named has no such option, or there is no such
                schedule.
        """
        if self.schedule not in SCHEDULES:
            raise OptionError(unknown_name("schedule", self.schedule, SCHEDULES))
        if self.trunk is None and self.trunk_options:
            raise OptionError(
                "Options of a trunk need the trunk's name: add --trunk NAME."
            )
        if self.cache_features:
            self._check_frozen()
        for registry, name, given in (
            (DATASETS, self.dataset, self.dataset_options),
            (ARCHITECTURES, self.architecture, self.options),
            (TRUNKS, self.trunk, self.trunk_options),
            (BALANCING, self.balancing, self.balancing_options),
        ):
            if name is None:
                continue
            known = [option.name for option in options(registry.entry(name))]
            for option in given:
                if option not in known:
                    owner = f"option of the {registry.noun} {name!r}"
                    raise OptionError(unknown_name(owner, option, known))

    def _check_frozen(self) -> None:
        frozen = self.trunk_options.get("trainable") is False
        if self.architecture != "shared_bottom" or not frozen:
            raise OptionError(
                "`cache_features` needs the architecture 'shared_bottom' and a trunk "
                "with trainable=False: else features change while the model learns. "
                f"Received: architecture={self.architecture!r}, "
                f"trunk_options={self.trunk_options}."
            )


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """Return `NAME=VALUE` pairs as a dict; values are Python's literals or strings.

    Raises:
        OptionError: a pair has no `=`.
    """
    parsed: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise OptionError(
                f"An option must be NAME=VALUE, such as num_experts=4. Received: "
                f"{pair!r}."
            )
        try:
            parsed[name.strip()] = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            parsed[name.strip()] = text.strip()
    return parsed
