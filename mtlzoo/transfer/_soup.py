from collections.abc import Callable, Sequence
from typing import NamedTuple

from mtlzoo.errors import ModelError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._copies import (
    averaged,
    check_same_base,
    check_same_layers,
    copy_of,
)


def soup(models: Sequence[MultiTaskModel]) -> MultiTaskModel:
    """Return a model whose weights are the mean of several models' weights.

    The models must be fine-tuned copies of one base, with other settings, seeds or
    tasks in turn. The soup costs no more to run than one of them, and is often better
    than the best. Where it has batch normalisation, call `reestimate_batch_norm`
    afterwards: the mean of statistics is not the statistic of the mean.

    Args:
        models: of the same layers and tasks.

    Returns:
        A new model, compiled as the first; its optimizer starts anew.

    Raises:
        ModelError: there are no models, or they differ in layers, tasks or base.

    Example:

    ```python
    copies = []
    for rate in (1e-4, 3e-4, 1e-3):
        model = keras.saving.load_model("base.keras")
        model.optimizer.learning_rate = rate
        model.fit(data.train)
        copies.append(model)
    model = mtlzoo.transfer.soup(copies)
    ```

    Reference: Mitchell Wortsman et al., *Model Soups: Averaging Weights of Multiple
    Fine-tuned Models Improves Accuracy without Increasing Inference Time*, ICML 2022,
    <https://arxiv.org/abs/2203.05482>.
    """
    check(models)
    made = copy_of(models[0])
    weights = [model.get_weights() for model in models]
    made.set_weights(averaged(weights, [1 / len(models)] * len(models)))
    return made


class GreedySoup(NamedTuple):
    """What `greedy_soup` found.

    Attributes:
        model: the soup.
        kept: the positions of the models that are in it, best first.
        scores: of each model alone, in the order given.
        score: of the soup.
    """

    model: MultiTaskModel
    kept: list[int]
    scores: list[float]
    score: float


def greedy_soup(
    models: Sequence[MultiTaskModel], score: Callable[[MultiTaskModel], float]
) -> GreedySoup:
    """Return the soup of those models that make it better, tried from the best on.

    The models are sorted by their own score. Each in turn goes into the soup, and stays
    if the soup's score is at least what it was. So the soup scores no less than the
    best of the models on the data that `score` looks at, which must not be the test
    data.

    Args:
        models: fine-tuned copies of one base, of the same layers and tasks.
        score: from a model to a number, the higher the better.

    Raises:
        ModelError: there are no models, or they differ in layers, tasks or base.

    Example:

    ```python
    found = mtlzoo.transfer.greedy_soup(
        copies,
        lambda one: one.evaluate(data.validation, return_dict=True)["topic_accuracy"],
    )
    ```

    Reference: Wortsman et al., as for `soup`; recipe 1.
    """
    check(models)
    scores = [float(score(model)) for model in models]
    order = sorted(range(len(models)), key=lambda index: -scores[index])
    made = copy_of(models[order[0]])
    kept, best = order[:1], scores[order[0]]
    for index in order[1:]:
        tried = [*kept, index]
        before = made.get_weights()
        weights = [models[one].get_weights() for one in tried]
        made.set_weights(averaged(weights, [1 / len(tried)] * len(tried)))
        found = float(score(made))
        if found >= best:
            kept, best = tried, found
        else:
            made.set_weights(before)
    return GreedySoup(made, kept, scores, best)


def check(models: Sequence[MultiTaskModel]) -> None:
    """Refuse models that can't be averaged."""
    if not models:
        raise ModelError("At least one model is needed. Received: none.")
    check_same_layers(models)
    check_same_base(models)
