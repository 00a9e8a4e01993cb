"""A training run: from settings to a trained model and its metrics."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from mtlzoo.cli import _frozen
from mtlzoo.cli._output import working
from mtlzoo.cli._settings import Settings

SPLITS = ("validation", "test")
NO_TRUNK: dict[str, Any] = {"trunk_options": {"units": ()}}
"""Passes features to the heads as they are."""


@dataclasses.dataclass
class Result:
    """A trained model and how it got there.

    Attributes:
        settings: of the run.
        model: trained.
        history: losses and metrics by name, one value an epoch.
        metrics: losses and metrics by name, by split.
        seconds: that training took.
    """

    settings: Settings
    model: Any
    history: dict[str, list[float]]
    metrics: dict[str, dict[str, float]]
    seconds: float

    @property
    def parameters(self) -> int:
        return int(self.model.count_params())

    def facts(self) -> dict[str, Any]:
        """Return what `train --json` prints."""
        return {
            **dataclasses.asdict(self.settings),
            "parameters": self.parameters,
            "seconds": round(self.seconds, 1),
            "metrics": self.metrics,
        }


def load_dataset(settings: Settings) -> Any:
    """Return the data set of a run, in its batches."""
    from mtlzoo import datasets

    dataset = datasets.load(
        settings.dataset,
        batch_size=settings.batch_size,
        shuffle_seed=settings.seed,
        **settings.dataset_options,
    )
    if settings.tasks is not None:
        dataset = dataset.only(settings.tasks)
    return dataset if settings.rows is None else dataset.subset(settings.rows)


def train(
    settings: Settings, dataset: Any, label: str, callbacks: Sequence[Any] = ()
) -> Result:
    """Build and train a model, and evaluate it on the validation and test rows."""
    import keras

    from mtlzoo.callbacks import Progress

    keras.utils.set_random_seed(settings.seed)
    model = whole = build_model(settings, dataset)
    if settings.cache_features:
        dataset = _frozen.features(settings, dataset, whole)
        keras.utils.set_random_seed(settings.seed)
        model = build_model(
            dataclasses.replace(settings, trunk="mlp", **NO_TRUNK), dataset
        )
    progress = Progress(label)
    start = time.perf_counter()
    try:
        history = model.fit(
            dataset.train,
            validation_data=dataset.validation,
            epochs=settings.epochs,
            verbose=0,
            callbacks=[progress, *_stopping(settings), *callbacks],
        ).history
    finally:
        progress.close()
    seconds = time.perf_counter() - start
    with working("Evaluating"):
        metrics = {split: evaluate(model, getattr(dataset, split)) for split in SPLITS}
    if settings.cache_features:
        _frozen.copy_heads(model, whole)
    history = {name: [float(one) for one in values] for name, values in history.items()}
    return Result(settings, whole, history, metrics, seconds)


def build_model(settings: Settings, dataset: Any) -> Any:
    """Return the model of a run, untrained."""
    import keras

    from mtlzoo import build, heads
    from mtlzoo._registry import BALANCING, TRUNKS

    return build(
        settings.architecture,
        **dataset.spec,
        trunk=settings.trunk and TRUNKS.get(settings.trunk)(**settings.trunk_options),
        head=heads.Tower(**settings.head),
        balancing=BALANCING.get(settings.balancing)(**settings.balancing_options),
        optimizer=keras.optimizers.Adam(_learning_rate(settings, dataset)),
        **settings.options,
    )


def _learning_rate(settings: Settings, dataset: Any) -> Any:
    import keras

    if settings.schedule == "constant":
        return settings.learning_rate
    steps = -(-dataset.sizes["train"] // settings.batch_size) * settings.epochs
    return keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)


def _stopping(settings: Settings) -> list[Any]:
    import keras

    if settings.patience is None:
        return []
    return [
        keras.callbacks.EarlyStopping(
            monitor="val_loss",
            patience=settings.patience,
            restore_best_weights=True,
        )
    ]


def evaluate(model: Any, batches: Any) -> dict[str, float]:
    """Return losses and metrics by name."""
    found = model.evaluate(batches, verbose=0, return_dict=True)
    return {name: float(value) for name, value in found.items()}
