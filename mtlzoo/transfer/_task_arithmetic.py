from collections.abc import Sequence

from mtlzoo.errors import ModelError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._copies import averaged, copy_of
from mtlzoo.transfer._soup import check


def task_arithmetic(
    base: MultiTaskModel,
    models: Sequence[MultiTaskModel],
    *,
    scale: float | Sequence[float] = 1.0,
) -> MultiTaskModel:
    """Return `base` plus what fine-tuning has changed in each of several copies of it.

    `base + sum_i scale_i * (model_i - base)`, for all weights. The difference of a
    fine-tuned copy to its base is the copy's task vector: added, it brings what the
    copy has learned; with a negative scale it takes that away. So copies that were
    fine-tuned on a task each, maybe in different places, become one multi-task model
    without any training.

    Choose `scale` on validation data; 0.3 to 0.5 is usual for several tasks. With batch
    normalisation, call `reestimate_batch_norm` afterwards.

    Args:
        base: with all tasks; a copy's heads of other tasks are as they are here.
        models: fine-tuned copies of `base`.
        scale: of the task vectors: one number for all, or one each.

    Returns:
        A new model, compiled as `base`; its optimizer starts anew.

    Raises:
        ModelError: a model differs from `base` in layers or tasks, or does not descend
            from its weights; or there are more or fewer scales than models.

    Example:

    ```python
    copies = []
    for labels in ("topic", "tone"):  # the other task has no labels then
        model = keras.saving.load_model("base.keras")
        model.fit(x, {labels: y[labels]})
        copies.append(model)
    both = mtlzoo.transfer.task_arithmetic(base, copies, scale=0.5)
    ```

    Reference: Gabriel Ilharco et al., *Editing Models with Task Arithmetic*, ICLR 2023,
    <https://arxiv.org/abs/2212.04089>.
    """
    check([base, *models])
    scales = [scale] * len(models) if isinstance(scale, int | float) else list(scale)
    if len(scales) != len(models):
        raise ModelError(
            f"`scale` must be one number, or one for each of {len(models)} models. "
            f"Received: scale={scale}."
        )
    made = copy_of(base)
    weights = [one.get_weights() for one in (base, *models)]
    made.set_weights(averaged(weights, [1.0 - sum(scales), *scales]))
    return made
