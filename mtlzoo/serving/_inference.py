"""Requests of both protocols, once they are read: admitted, run, timed and counted."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from mtlzoo.serving import _plans
from mtlzoo.serving._errors import Code, ServingError, invalid
from mtlzoo.serving._metrics import Metrics
from mtlzoo.serving._models import Models, Spec
from mtlzoo.serving._runner import Runner
from mtlzoo.serving._servable import Servable


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a server takes.

    Attributes:
        body: bytes of a request, after it is unpacked.
        seconds: for one request, from its first byte to its answer.
        requests: that are at work at a time; more are turned away, to come again.
    """

    body: int = 64 << 20
    seconds: float = 30.0
    requests: int = 1024


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a signature gave, and who gave it.

    Attributes:
        spec: the version and signature that answered.
        outputs: arrays by output name.
    """

    spec: Spec
    outputs: Mapping[str, Any]


class Inference:
    """Answers requests on the models of a server."""

    def __init__(
        self, models: Models, runner: Runner, metrics: Metrics, limits: Limits
    ) -> None:
        self.models = models
        self.metrics = metrics
        self.limits = limits
        self._runner = runner
        self._at_work = 0

    @contextlib.asynccontextmanager
    async def admitted(
        self, api: str, entrypoint: str, *, seconds: float | None = None
    ) -> AsyncIterator["Admitted"]:
        """Admit one request, and count it when it ends.

        Args:
            api: such as `"Predict"`.
            entrypoint: `"REST"` or `"GRPC"`.
            seconds: that its client waits, if it said so.

        Raises:
            ServingError: there are too many, or it took too long.
        """
        admitted = Admitted()
        started = time.perf_counter()
        status = Code.UNKNOWN
        try:
            if self._at_work >= self.limits.requests:
                raise ServingError(
                    Code.UNAVAILABLE,
                    f"The server has {self._at_work} requests at work, which is as "
                    "many as it takes. Try again later.",
                )
            self._at_work += 1
            try:
                limit = min(self.limits.seconds, seconds or self.limits.seconds)
                async with asyncio.timeout(limit):
                    yield admitted
            except TimeoutError as error:
                raise ServingError(
                    Code.DEADLINE_EXCEEDED, f"The request took more than {limit:g} s"
                ) from error
            finally:
                self._at_work -= 1
            status = Code.OK
        except ServingError as error:
            status = error.status
            raise
        except asyncio.CancelledError:
            status = Code.CANCELLED
            raise
        finally:
            # Names that nothing has would let anyone fill the memory with them.
            known = admitted.model in self.models.names()
            self.metrics.request(
                admitted.model if known else "",
                api,
                entrypoint,
                status.name,
                time.perf_counter() - started,
            )

    async def off_loop(self, large: bool, function: Any, *args: Any) -> Any:
        """Call a function, in a thread where it would hold up the other requests."""
        return (
            await self._runner.in_thread(function, *args) if large else function(*args)
        )

    async def predict(
        self,
        servable: Servable,
        signature: str,
        inputs: Mapping[str, Any],
        output_filter: Sequence[str] = (),
    ) -> Answer:
        """Return the outputs of a signature for arrays by input name.

        Args:
            servable: that the caller holds.
            signature: its name, `""` for the default one.
            inputs: arrays by input name.
            output_filter: names of the outputs wanted, none for all.
        """
        plan = _plans.plan_predict(servable, signature, inputs, output_filter)
        (outputs,) = await self._run(servable, "Predict", [plan])
        return _answer(servable, plan, outputs)

    async def classify(self, spec: Spec, examples: Sequence[bytes]) -> Answer:
        """Return labels and scores of each example, as the output `results`."""
        return (await self._examples("Classify", [(spec, _plans.CLASSIFY)], examples))[
            0
        ]

    async def regress(self, spec: Spec, examples: Sequence[bytes]) -> Answer:
        """Return the value of each example, as the output `results`."""
        return (await self._examples("Regress", [(spec, _plans.REGRESS)], examples))[0]

    async def multi(
        self, tasks: Sequence[tuple[Spec, str]], examples: Sequence[bytes]
    ) -> list[Answer]:
        """Return the answers of several tasks of one model, from one run.

        Args:
            tasks: each with its method, `tensorflow/serving/classify` or `.../regress`.
            examples: serialized.
        """
        seen: set[str] = set()
        for spec, method in tasks:
            if spec.name != tasks[0][0].name:
                raise invalid(
                    "All ModelSpecs in a MultiInferenceRequest must access the same "
                    "model name."
                )
            if spec.signature in seen:
                raise invalid(f"Duplicate evaluation of signature: {spec.signature}")
            seen.add(spec.signature)
            if method not in (_plans.CLASSIFY, _plans.REGRESS):
                raise ServingError(
                    Code.UNIMPLEMENTED, f"Unsupported signature method_name: {method}"
                )
        first = tasks[0][0]
        with self.models.use(first) as servable:
            for spec, _ in tasks:
                if (spec.signature or _plans.DEFAULT) not in servable.signatures:
                    raise invalid(
                        "Requested signature not found in model graph: "
                        f"{spec.signature}"
                    )
        return await self._examples("MultiInference", tasks, examples)

    async def _examples(
        self, api: str, tasks: Sequence[tuple[Spec, str]], examples: Sequence[bytes]
    ) -> list[Answer]:
        with self.models.use(tasks[0][0]) as servable:
            plans = [
                _plans.plan_examples(servable, spec.signature, method, examples)
                for spec, method in tasks
            ]
            found = await self._run(servable, api, plans)
            answers = []
            for (_, method), plan, arrays in zip(tasks, plans, found, strict=True):
                convert = (
                    _plans.as_values if method == _plans.REGRESS else _plans.as_classes
                )
                results = {"results": convert(plan, arrays)}
                answers.append(_answer(servable, plan, results))
            return answers

    async def _run(
        self, servable: Servable, api: str, plans: Sequence[_plans.Plan]
    ) -> list[dict[str, Any]]:
        """Run plans that have the same feeds, together; tensors in common once."""
        feeds = plans[0].feeds
        if any(plan.feeds[0][0] != feeds[0][0] for plan in plans[1:]):
            raise invalid("Input tensor must be the same for all Signatures.")
        fetches = list(dict.fromkeys(one for plan in plans for one in plan.fetches))
        started = time.perf_counter()
        tensors = await self._runner.run(servable, feeds, fetches)
        rows = max((len(array) for _, array in feeds if array.ndim), default=1)
        self.metrics.run(servable.name, api, rows, time.perf_counter() - started)
        by_name = dict(zip(fetches, tensors, strict=True))
        return [
            {alias: by_name[tensor] for alias, tensor in plan.outputs.items()}
            for plan in plans
        ]


@dataclasses.dataclass
class Admitted:
    """A request at work; it says which model it is for as soon as it knows."""

    model: str = ""


def _answer(
    servable: Servable, plan: _plans.Plan, outputs: Mapping[str, Any]
) -> Answer:
    spec = Spec(servable.name, servable.version, signature=plan.signature)
    return Answer(spec, outputs)
