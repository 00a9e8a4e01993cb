from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from mtlzoo import _graph

_Tasks = frozenset[int]


class SharedPart:
    """What the tasks of a functional model share, found from its graph.

    A variable is shared when two or more outputs depend on it. The graph leaves the
    shared part at the tensors that steps of two or more outputs give to steps of one.
    Functional models inside the model are looked into.

    Args:
        inputs: the model's symbolic inputs, flat.
        outputs: the symbolic output of each task, by name, in order.

    Attributes:
        tasks_of: the indices of the tasks that depend on a variable, by the variable's
            id.
        own: for each task, the variables of the steps that serve it alone.
        trunk: the variables of the steps that serve several tasks.
    """

    def __init__(self, inputs: Sequence[Any], outputs: Mapping[str, Any]) -> None:
        self._inputs = inputs
        self._names = list(outputs)
        self._call = _Call(
            list(outputs.values()), [frozenset({i}) for i in range(len(outputs))]
        )
        self.tasks_of: dict[int, _Tasks] = {}
        self.own: list[list[Any]] = [[] for _ in outputs]
        self.trunk: list[Any] = []
        for step, tasks in self._call.steps():
            for variable in _graph.variables(step):
                known = self.tasks_of.get(id(variable), frozenset())
                self.tasks_of[id(variable)] = known | tasks
                place = self.trunk if len(tasks) > 1 else self.own[min(tasks)]
                if not any(variable is one for one in place):
                    place.append(variable)

    def is_shared(self, variable: Any) -> bool:
        """Whether two or more tasks depend on a variable."""
        return len(self.tasks_of.get(id(variable), ())) > 1

    def run(
        self, inputs: Sequence[Any], watch: Callable[[Any], None]
    ) -> tuple[dict[str, Any], list[tuple[Any, Any]]]:
        """Run the model in training mode, cut where the graph leaves the shared part.

        Args:
            inputs: flat, as `_graph.flat_inputs` gives them, in the model's order.
            watch: called on each tensor behind a cut.

        Returns:
            The predictions by task, and for each cut the tensor before it and the one
            behind it. No gradient flows from one to the other.
        """
        held = [_Held(value) for value in inputs]
        cuts: list[tuple[Any, Any]] = []

        def cut(tensor: Any) -> Any:
            behind = _graph.leaf(tensor)
            if keras.backend.is_float_dtype(behind.dtype):
                watch(behind)
                cuts.append((tensor, behind))
            return behind

        outputs = self._call.run(held, self._inputs, cut)
        return dict(
            zip(self._names, (one.own(cut) for one in outputs), strict=True)
        ), cuts


class _Held:
    """A tensor while the graph runs.

    Args:
        tensor: the value.
        shared: whether a step of several tasks made it.
        learned: whether a trainable variable is upstream.
    """

    def __init__(
        self, tensor: Any, shared: bool = False, learned: bool = False
    ) -> None:
        self.tensor = tensor
        self.shared = shared
        self.learned = learned
        self._behind: Any = None

    def own(self, cut: Callable[[Any], Any]) -> Any:
        """Return the value for a step of one task."""
        if not (self.shared and self.learned):
            return self.tensor
        if self._behind is None:
            self._behind = cut(self.tensor)
        return self._behind


class _Call:
    """One call of a functional model: its steps, and which tasks each serves."""

    def __init__(self, outputs: Sequence[Any], tasks: Sequence[_Tasks]) -> None:
        self._outputs = outputs
        self._steps = _graph.steps(list(outputs))
        self._served: list[_Tasks] = [frozenset()] * len(self._steps)
        self._inner: dict[int, _Call] = {}
        self.tasks: dict[int, _Tasks] = {}
        for tensor, served in zip(outputs, tasks, strict=True):
            self._add(tensor, served)
        for index in reversed(range(len(self._steps))):
            self._serve(index)

    def _serve(self, index: int) -> None:
        step = self._steps[index]
        served = [self.tasks.get(id(one), frozenset()) for one in step.outputs]
        self._served[index] = frozenset().union(*served)
        if step.inputs and _graph.is_plain_functional(step.layer, step):
            inner = self._inner[index] = _Call(step.layer.outputs, served)
            for outer, symbolic in zip(step.inputs, step.layer.inputs, strict=True):
                self._add(outer, inner.tasks.get(id(symbolic), frozenset()))
        else:
            for tensor in step.inputs:
                self._add(tensor, self._served[index])

    def _add(self, tensor: Any, tasks: _Tasks) -> None:
        self.tasks[id(tensor)] = self.tasks.get(id(tensor), frozenset()) | tasks

    def steps(self) -> list[tuple[_graph.Step, _Tasks]]:
        """Return each step that serves tasks, and which tasks these are."""
        found = []
        for index, step in enumerate(self._steps):
            if index in self._inner:
                found += self._inner[index].steps()
            elif self._served[index]:
                found.append((step, self._served[index]))
        return found

    def run(
        self,
        inputs: Sequence[_Held],
        symbolic: Sequence[Any],
        cut: Callable[[Any], Any],
    ) -> list[_Held]:
        """Run the steps; `symbolic` are the tensors of this graph for `inputs`."""
        held = {id(one): value for one, value in zip(symbolic, inputs, strict=True)}
        for index, step in enumerate(self._steps):
            if not step.inputs:
                continue
            taken = [held[id(one)] for one in step.inputs]
            if index in self._inner:
                made = self._run_inside(index, taken, cut)
            else:
                made = self._run_step(index, taken, cut)
            held.update(zip(map(id, step.outputs), made, strict=True))
        return [held[id(one)] for one in self._outputs]

    def _run_inside(
        self, index: int, taken: Sequence[_Held], cut: Callable[[Any], Any]
    ) -> list[_Held]:
        model = self._steps[index].layer
        converted = _graph.as_inputs(model, [one.tensor for one in taken])
        inputs = [
            one if one.tensor is tensor else _Held(tensor, one.shared, one.learned)
            for one, tensor in zip(taken, converted, strict=True)
        ]
        return self._inner[index].run(inputs, model.inputs, cut)

    def _run_step(
        self, index: int, taken: Sequence[_Held], cut: Callable[[Any], Any]
    ) -> list[_Held]:
        step = self._steps[index]
        # What serves no task, an output that is left aside, is no reason for a cut.
        shared = len(self._served[index]) != 1
        values = {
            id(one): value.tensor if shared else value.own(cut)
            for one, value in zip(step.inputs, taken, strict=True)
        }
        trainable = any(one.trainable for one in _graph.variables(step))
        learned = trainable or any(one.learned for one in taken)
        made = _graph.call(step, values, training=True)
        return [_Held(value, shared, learned) for value in made]
