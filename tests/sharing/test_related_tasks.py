"""One trunk serves related tasks better than unrelated ones, as Ma et al. found."""

import statistics

from mtlzoo.benchmarks import _synthetic


def test_sharing_costs_more_the_less_the_tasks_are_related(monkeypatch):
    monkeypatch.setattr(_synthetic, "EPOCHS", 8)
    related, unrelated = (
        [_synthetic.error("shared_bottom", 113, correlation, seed) for seed in range(5)]
        for correlation in (1.0, 0.5)
    )
    assert statistics.mean(related) < statistics.mean(unrelated) < 0.2
