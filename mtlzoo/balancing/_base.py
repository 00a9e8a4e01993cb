import inspect
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import keras
from keras import ops

from mtlzoo.errors import TaskError


@keras.saving.register_keras_serializable("mtlzoo")
class Balancing(keras.layers.Layer):
    """What decides how much each task counts in an update.

    It is a layer so that what it learns and remembers (loss weights, running averages,
    the state of its random numbers) is saved, restored and continued with the model
    that holds it. It is never called on data: see `Weighting` and `Aggregator`.

    Each argument of a constructor is kept as an attribute of the same name; configs and
    reprs follow from that.
    """

    min_tasks: ClassVar[int] = 1
    """How many tasks the method needs to make sense."""

    def __init__(self) -> None:
        # Weights of tasks are tiny and must be exact: they stay out of mixed precision.
        super().__init__(dtype="float32", autocast=False)
        self.num_tasks = 0
        self.observer: Any = None  # of the model's step; see `_observer.Observer`

    def build(self, num_tasks: int) -> None:
        if num_tasks < self.min_tasks:
            raise TaskError(
                f"{type(self).__name__} balances at least {self.min_tasks} tasks. "
                f"Received: num_tasks={num_tasks}. With one task, leave `balancing` "
                "out."
            )
        self.num_tasks = num_tasks

    def state(
        self,
        name: str,
        shape: tuple[int, ...] = (),
        *,
        initial: float = 0.0,
        dtype: str = "float32",
    ) -> keras.Variable:
        """Return a new variable that the method updates by itself.

        What a method sees has been reduced over all replicas before, so each replica
        writes the same value to its own copy.
        """
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=keras.initializers.Constant(initial),
            dtype=dtype,
            trainable=False,
            aggregation="none",
        )

    def remember(self, variable: keras.Variable, value: Any) -> None:
        """Assign `value`, except where it is not finite.

        Under a loss scale, gradients overflow now and then and the optimizer skips that
        step; the state has to skip it too.
        """
        value = ops.cast(value, variable.dtype)
        variable.assign(ops.where(ops.isfinite(value), value, variable))

    def see_tasks(self, names: Sequence[str]) -> None:
        """Called at compiling with the tasks' names, in order."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Called by `fit` before each epoch, outside the graph."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Called by `fit` after each epoch, outside the graph, with Keras's logs."""

    # Keras saves the variables of a layer without the states of its random numbers.

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        if hasattr(self, "seed_generator"):
            store["seed"] = self.seed_generator.state

    def load_own_variables(self, store: Any) -> None:
        values = {key: store[key] for key in store.keys()}  # noqa: SIM118
        if hasattr(self, "seed_generator"):
            self.seed_generator.state.assign(values.pop("seed"))
        super().load_own_variables(values)

    @classmethod
    def options(cls) -> dict[str, inspect.Parameter]:
        """Return the constructor's parameters by name, inherited ones last."""
        found: dict[str, inspect.Parameter] = {}
        for owner in cls.__mro__:
            constructor = vars(owner).get("__init__")
            if constructor is None:
                continue
            parameters = inspect.signature(constructor).parameters.values()
            for parameter in parameters:
                if parameter.name != "self" and parameter.kind not in (
                    parameter.VAR_KEYWORD,
                    parameter.VAR_POSITIONAL,
                ):
                    found.setdefault(parameter.name, parameter)
            if not any(one.kind is one.VAR_KEYWORD for one in parameters):
                break
        return found

    def get_config(self) -> dict[str, Any]:
        return {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in self.options()
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
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
            if parameter.default is parameter.empty
            or getattr(self, name) != parameter.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


class Weighting(Balancing):
    """Combines the losses of the tasks into the one scalar that is optimised.

    A method either says how much each task weighs (`weigh`) or, where it learns by
    gradient descent, what is optimised (`total`).
    """

    uses_losses_after: ClassVar[bool] = False
    """Whether `after_step` needs the losses on the same batch after the update."""

    looks_ahead: ClassVar[bool] = False
    """Whether `learn` needs what the weights do to the losses on other rows."""

    @abstractmethod
    def weigh(self, losses: Any, present: Any) -> Any:
        """Return the weights of the tasks; those of absent tasks are 0.

        Args:
            losses: tensor of shape `(num_tasks,)`; 0 for absent tasks.
            present: boolean tensor of shape `(num_tasks,)`: which tasks have at least
                one label in the batch.

        Returns:
            A tensor of shape `(num_tasks,)`.
        """

    def total(self, losses: Any, present: Any) -> Any:
        """Return the scalar whose gradient is the update; updates the method's state.

        By default the sum of the losses times their weights, the weights held constant.
        Arguments as in `weigh`.
        """
        return ops.sum(ops.stop_gradient(self.weigh(losses, present)) * losses)

    def after_step(self, losses: Any, present: Any) -> None:
        """Called after the update, where `uses_losses_after`, with the new losses."""

    def goals(self) -> Any:
        """Return how much each task counts in what `learn` descends on.

        A tensor of shape `(num_tasks,)`; for methods that look ahead.
        """
        return ops.ones((self.num_tasks,))

    def learn(self, slopes: Any, known: Any) -> None:
        """Called before the update, where `looks_ahead`.

        Args:
            slopes: tensor of shape `(num_tasks,)`: the derivative, with respect to each
                task's weight, of the losses on one half of the batch, as `goals` counts
                them, after one step on the other half.
            known: boolean tensor of shape `(num_tasks,)`: whether both halves have the
                labels that the slope takes.
        """
