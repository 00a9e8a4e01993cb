"""Objects that are described by their constructor's arguments."""

import inspect
from typing import Any, Self

from mtlzoo._registry import unknown_name
from mtlzoo.errors import OptionError


class Configured:
    """A plain object that keeps each argument of its constructor as an attribute.

    From that alone it has a `repr` that shows its arguments, `get_config` and
    `from_config`, and equality by value.
    """

    @classmethod
    def options(cls) -> dict[str, inspect.Parameter]:
        """Return the constructor's parameters by name."""
        parameters = inspect.signature(cls).parameters
        return dict(parameters)

    @classmethod
    def check_options(cls, options: dict[str, Any], owner: str) -> None:
        """Refuse options that the constructor doesn't have.

        Raises:
            OptionError: naming the unknown option, close ones and all there are.
        """
        for name in options:
            if name not in cls.options():
                raise OptionError(
                    unknown_name(f"option of {owner}", name, cls.options())
                )

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.options()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        import keras  # listing and checking options must not load it

        return cls(
            **{
                name: keras.saving.deserialize_keras_object(value)
                for name, value in config.items()
            }
        )

    def __repr__(self) -> str:
        shown = [
            f"{name}={getattr(self, name)!r}"
            for name, parameter in self.options().items()
            if parameter.default is inspect.Parameter.empty
            or not _same(getattr(self, name), parameter.default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))


def _same(value: object, default: object) -> bool:
    try:
        return bool(value == default)
    except ValueError:  # arrays compare element by element
        return False
