"""What it saves to compute the features of a frozen base once."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mtlzoo import datasets, heads, transfer
from mtlzoo._build import build
from mtlzoo.trunks import Pretrained

ROWS, BATCH, SIZE = 256, 32, 224
WHOLE, CACHED = 3, 15


def run() -> str:
    """Time epochs of the same heads on pictures and on features, in CPU seconds."""
    data = datasets.load("fashion_mnist").subset(ROWS).batched(BATCH)
    base = Pretrained("efficientnet_lite0.imagenet", False, image_size=SIZE)
    model = build("shared_bottom", **data.spec, trunk=base, head=heads.Tower((64,)))
    on_features = transfer.head_model(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features"

        def cache() -> transfer.CachedFeatures:
            return transfer.cache_features(
                model, data.arrays("train"), path, batch_size=BATCH, progress=False
            )

        once = _seconds(cache)
        cached = cache()
        rows = cached.batches(BATCH, shuffle=True)
        whole = [
            _seconds(lambda: model.fit(data.train, verbose=0)) for _ in _runs(WHOLE)
        ]
        heads_only = [
            _seconds(lambda: on_features.fit(rows, verbose=0)) for _ in _runs(CACHED)
        ]
        opened = _seconds(cache)
    slow, fast = statistics.median(whole[1:]), statistics.median(heads_only[1:])
    return "\n".join(
        [
            "# Features computed once",
            "",
            "`python -m mtlzoo.benchmarks features`",
            "",
            "Heads for the three tasks of `fashion_mnist` on a frozen "
            f"`efficientnet_lite0.imagenet`, {ROWS} pictures resized to {SIZE} x "
            f"{SIZE} inside the model, batches of {BATCH}. CPU seconds over all "
            "threads, which hold on a busy machine too; medians, without the first "
            "run, which compiles.",
            "",
            "| | CPU seconds |",
            "|---|---|",
            f"| an epoch of the whole model, its trunk frozen | {slow:.2f} |",
            f"| to compute the features, once | {once:.2f} |",
            f"| to open them again, data and base checked | {opened:.2f} |",
            f"| an epoch of `head_model` on the features | {fast:.2f} |",
            "",
            f"An epoch costs {slow / fast:.0f} times less; ten epochs, the features "
            f"included, {10 * slow / (once + 10 * fast):.1f} times less.",
        ]
    )


def _runs(count: int) -> range:
    return range(count + 1)  # the first one compiles


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
