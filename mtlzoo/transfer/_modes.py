from mtlzoo._registry import unknown_name
from mtlzoo.errors import OptionError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._parts import trunk_places
from mtlzoo.transfer._toggles import freeze, unfreeze

MODES = ("feature", "parameter", "structure")


def use_base(model: MultiTaskModel, mode: str) -> MultiTaskModel:
    """Say what a model takes from what its trunk was pretrained on.

    - `"feature"`: the features. The trunk is frozen, the rest is trained. With
      `cache_features`, the trunk then runs once and no more.
    - `"parameter"`: the weights. All is trained, the trunk from where it is.
    - `"structure"`: the architecture. All is trained, the trunk from new random weights
      and statistics. Vocabularies and the statistics of inputs stay.

    Args:
        model: a multi-task model on a pretrained trunk; it is changed itself, and
            returned.
        mode: one of the three.

    Raises:
        OptionError: there is no such mode.

    Example:

    ```python
    model = transfer.use_base(mtlzoo.load("mmoe.adult"), "feature")
    ```
    """
    if mode not in MODES:
        raise OptionError(unknown_name("mode of transfer", mode, MODES))
    if mode == "feature":
        freeze(model)
        return model
    unfreeze(model)
    if mode == "structure":
        _start_anew(model)
    return model


def _start_anew(model: MultiTaskModel) -> None:
    """Give a trunk new weights, drawn as those of a new model are."""
    fresh = type(model).from_config(model.get_config())
    pairs = zip(trunk_places(model), trunk_places(fresh), strict=True)
    layers = {id(old.layer): (old.layer, new.layer) for old, new in pairs}
    for old, new in layers.values():
        old.set_weights(new.get_weights())
    if model.compiled:  # what the optimizer remembers is of the old weights
        model.compile_from_config(model.get_compile_config())
