"""Steps and solvers of TorchJD, on PyTorch; `pip install torch torchjd` with extras."""

from collections.abc import Callable
from typing import Any

import torch
from torchjd import aggregation, scalarization
from torchjd.autojac import jac_to_grad, mtl_backward

AGGREGATORS: dict[str, Callable[[int], Any]] = {
    "aligned_mtl": lambda _: aggregation.AlignedMTL(),
    "cagrad": lambda _: aggregation.CAGrad(c=0.5),
    "config": lambda _: aggregation.ConFIG(),
    "dualproj": lambda _: aggregation.DualProj(),
    "excess_mtl": lambda _: aggregation.ExcessMTL(),
    "fairgrad": lambda _: aggregation.FairGrad(alpha=1.0),
    "graddrop": lambda _: aggregation.GradDrop(),
    "gradvac": lambda _: aggregation.GradVac(),
    "imtl_g": lambda _: aggregation.IMTLG(),
    "mean": lambda _: aggregation.Mean(),
    "mgda": lambda _: aggregation.MGDA(),
    "nash_mtl": lambda count: aggregation.NashMTL(count),
    "pcgrad": lambda _: aggregation.PCGrad(),
    "sum": lambda _: aggregation.Sum(),
    "upgrad": lambda _: aggregation.UPGrad(),
}
"""Its aggregators by our names, with the same settings, for a number of tasks."""

SCALARIZERS: dict[str, Callable[[int], Any]] = {
    "dwa": lambda _: scalarization.DWA(),
    "equal": lambda _: scalarization.Sum(),
    "famo": lambda count: scalarization.FAMO(count),
    "fixed": lambda count: scalarization.Constant(torch.ones(count)),
    "gls": lambda _: scalarization.GeometricMean(),
    "imtl_l": lambda count: scalarization.IMTLL(count),
    "rlw": lambda _: scalarization.Random(),
    "stch": lambda _: scalarization.STCH(mu=1.0),
    "uncertainty": lambda count: scalarization.UW(count),
}

WEIGHTINGS: dict[str, Callable[[], Any]] = {
    "aligned_mtl": lambda: aggregation.AlignedMTLWeighting(),
    "cagrad": lambda: aggregation.CAGradWeighting(c=0.5),
    "cr_mogm": lambda: aggregation.CRMOGMWeighting(aggregation.MGDAWeighting()),
    "dualproj": lambda: aggregation.DualProjWeighting(),
    "fairgrad": lambda: aggregation.FairGradWeighting(alpha=1.0),
    "gradvac": lambda: aggregation.GradVacWeighting(),
    "imtl_g": lambda: aggregation.IMTLGWeighting(),
    "mean": lambda: aggregation.MeanWeighting(),
    "mgda": lambda: aggregation.MGDAWeighting(),
    "pcgrad": lambda: aggregation.PCGradWeighting(),
    "sum": lambda: aggregation.SumWeighting(),
    "upgrad": lambda: aggregation.UPGradWeighting(),
}
"""Those that it can give a Gramian alone."""


class _BatchDropout(torch.nn.Module):
    """Drops half of the channels, the same ones for the whole batch."""

    def forward(self, maps: Any) -> Any:
        shape = (1, maps.shape[1], 1, 1)
        return torch.nn.functional.dropout(torch.ones(shape), 0.5) * maps


class LeNet:
    """The network of the benchmark, its data, and training steps on both.

    Args:
        num_tasks: how many heads.
        images: array of shape `(batch, side, side, 1)`.
        labels: array of shape `(num_tasks, batch)`.
        num_classes: of each task.
        clock: returns seconds.
    """

    def __init__(
        self,
        num_tasks: int,
        images: Any,
        labels: Any,
        num_classes: int,
        clock: Callable[[], float],
    ) -> None:
        torch.set_num_threads(1)
        nn = torch.nn
        self._num_tasks = num_tasks
        self._clock = clock
        self._images = torch.tensor(images).permute(0, 3, 1, 2).contiguous()
        self._labels = torch.tensor(labels)
        self._trunk = nn.Sequential(
            *(nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(10, 20, 5), _BatchDropout(), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Flatten(), nn.LazyLinear(50), nn.ReLU()),
        )
        self._trunk(self._images)
        self._heads = nn.ModuleList(
            nn.Sequential(
                *(nn.Linear(50, 50), nn.ReLU(), nn.Dropout(0.5)),
                nn.Linear(50, num_classes),
            )
            for _ in range(num_tasks)
        )
        self._chunk: int | None = None
        self._chunk = self._faster_chunk()

    def _faster_chunk(self) -> int | None:
        """Return what its Jacobians are fastest with: vectorised, or one by one."""
        times = {}
        for chunk in (None, 1):
            self._chunk = chunk
            steps = self.stepper("mean")
            assert steps is not None  # noqa: S101, for mypy
            times[chunk] = min(steps() for _ in range(3))
        return min(times, key=lambda chunk: times[chunk])

    def stepper(self, name: str | None, steps: int = 1) -> Callable[[], float] | None:
        """Return a function that makes some steps and returns their seconds.

        `None` if TorchJD has no such method; the plain summed loss for `None`.
        """
        name = name or "equal"
        aggregator = AGGREGATORS[name](self._num_tasks) if name in AGGREGATORS else None
        scalarizer = SCALARIZERS[name](self._num_tasks) if name in SCALARIZERS else None
        if aggregator is None and scalarizer is None:
            return None
        learned = [] if scalarizer is None else list(scalarizer.parameters())
        optimizer = torch.optim.SGD(
            [*self._trunk.parameters(), *self._heads.parameters(), *learned], lr=1e-3
        )

        def step() -> None:
            features = self._trunk(self._images)
            losses = self._losses(features)
            optimizer.zero_grad()
            if scalarizer is not None:
                scalarizer(torch.stack(losses)).backward()
            else:
                mtl_backward(losses, features, parallel_chunk_size=self._chunk)
                jac_to_grad(list(self._trunk.parameters()), aggregator)
            optimizer.step()
            if scalarizer is not None and name == "famo":
                with torch.no_grad():
                    after = torch.stack(self._losses(self._trunk(self._images)))
                scalarizer.update(after)

        step()

        def timed() -> float:
            start = self._clock()
            for _ in range(steps):
                step()
            return self._clock() - start

        return timed

    def _losses(self, features: Any) -> list[Any]:
        return [
            torch.nn.functional.cross_entropy(head(features), labels)
            for head, labels in zip(self._heads, self._labels, strict=True)
        ]


def extraction(
    name: str, gramian: Any, calls: int, clock: Callable[[], float]
) -> float | None:
    """Return the seconds that weights of a Gramian take; `None` if it can't."""
    if name not in WEIGHTINGS:
        return None
    torch.set_num_threads(1)
    weighting = WEIGHTINGS[name]()
    matrix = torch.tensor(gramian)
    times = []
    for _ in range(calls):
        start = clock()
        weighting(matrix)
        times.append(clock() - start)
    return min(times)
