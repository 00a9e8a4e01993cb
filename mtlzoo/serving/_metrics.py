"""Counts and times of requests, in the text format that Prometheus reads.

Names, labels and buckets are those of TensorFlow Serving, so that its dashboards fit.
"""

import bisect
import collections
from collections.abc import Iterator

PATH = "/monitoring/prometheus/metrics"
_PREFIX = ":tensorflow:serving:"
_BUCKETS = [10 * 1.8**power for power in range(33)]
"""Upper bounds; in microseconds where times are counted."""

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """What a server has done since it started; belongs to one event loop."""

    def __init__(self) -> None:
        self._counts: collections.Counter[Labels] = collections.Counter()
        self._histograms: dict[str, dict[Labels, _Histogram]] = {
            name: collections.defaultdict(_Histogram)
            for name in ("request_latency", "runtime_latency", "request_example_counts")
        }

    def request(
        self, model: str, api: str, entrypoint: str, status: str, seconds: float
    ) -> None:
        """Count a request that ended.

        Args:
            model: its name.
            api: such as `"Predict"`.
            entrypoint: `"REST"` or `"GRPC"`.
            status: the name of the status that it ended with.
            seconds: that it took in the server.
        """
        self._counts[("model_name", model), ("status", status)] += 1
        labels = ("model_name", model), ("API", api), ("entrypoint", entrypoint)
        self._histograms["request_latency"][labels].add(seconds * 1e6)

    def run(self, model: str, api: str, rows: int, seconds: float) -> None:
        """Count a run of a model."""
        labels = ("model_name", model), ("API", api), ("runtime", "TF1")
        self._histograms["runtime_latency"][labels].add(seconds * 1e6)
        self._histograms["request_example_counts"][(("model_name", model),)].add(rows)

    def text(self) -> str:
        """Return everything, a sample a line."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        name = f"{_PREFIX}request_count"
        yield f"# TYPE {name} counter"
        for labels, count in self._counts.items():
            yield f"{name}{{{_text(labels)}}} {count}"
        for short, histograms in self._histograms.items():
            name = f"{_PREFIX}{short}"
            yield f"# TYPE {name} histogram"
            for labels, histogram in histograms.items():
                text = _text(labels)
                total = 0
                for bound, count in zip(
                    [*_BUCKETS, float("inf")], histogram.counts, strict=True
                ):
                    total += count
                    limit = "+Inf" if bound == float("inf") else f"{bound:g}"
                    yield f'{name}_bucket{{{text},le="{limit}"}} {total}'
                yield f"{name}_sum{{{text}}} {histogram.sum:g}"
                yield f"{name}_count{{{text}}} {total}"


class _Histogram:
    def __init__(self) -> None:
        self.counts = [0] * (len(_BUCKETS) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect.bisect_left(_BUCKETS, value)] += 1
        self.sum += value


def _text(labels: Labels) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels)


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
