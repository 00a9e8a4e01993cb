import inspect
from typing import Any

import keras

from mtlzoo._registry import BASES, unknown_name
from mtlzoo.errors import DataError, DownloadError, OptionError, UnknownNameError
from mtlzoo.trunks._pretrained._base import Base, Request
from mtlzoo.trunks._pretrained._weights_file import (
    first_line,
    load_weights,
    refuse_arguments,
)

OURS = ("include_top", "weights", "input_tensor", "input_shape", "pooling", "classes")


@keras.saving.register_keras_serializable("mtlzoo")
class ApplicationPreprocessing(keras.layers.Layer):
    """What a model of `keras.applications` does to pixels from 0 to 255 before it.

    Args:
        module: of `keras.applications`, such as `"mobilenet_v2"`.
    """

    def __init__(self, module: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.module = module

    def call(self, inputs: Any) -> Any:
        pixels = keras.ops.cast(inputs, self.compute_dtype)
        module = getattr(keras.applications, self.module)
        return module.preprocess_input(pixels, data_format="channels_last")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "module": self.module}


@BASES.register(
    "keras.applications",
    written='"keras.applications/MobileNetV2"',
    takes="one image",
    needs="nothing; weights of ImageNet are downloaded by Keras",
)
def application(rest: str, request: Request) -> Base:
    """Any model of `keras.applications`, its preprocessing inside the graph."""
    build, module = _find(rest)
    parameters = inspect.signature(build).parameters
    refuse_arguments(request, [one for one in parameters if one not in OURS])
    if request.image_size is None:
        raise DataError(f"The base {request.name!r} takes one image.")
    pixels = keras.Input((*request.image_size, 3), name="image")
    scaled = ApplicationPreprocessing(module, name="preprocessing")(pixels)
    imagenet = request.weights in ("pretrained", "imagenet")
    try:
        model = build(
            include_top=False,
            weights="imagenet" if imagenet else None,
            input_tensor=scaled,
            **request.arguments,
        )
    except ValueError as error:
        raise OptionError(f"{request.name!r}: {first_line(error)}") from error
    # Keras's download raises a plain Exception.
    except Exception as error:
        raise DownloadError(
            f"The weights of {request.name!r} can't be had: {first_line(error)} "
            "Without a network, pass the path of a file as `weights`, or weights=None "
            "for the structure alone."
        ) from error
    if not imagenet and request.weights is not None:
        load_weights(model, request)
    return Base(request.name, model)


def _find(name: str) -> tuple[Any, str]:
    """Return the function of that name, and the module that it stands in."""
    models = {
        one: function
        for one in dir(keras.applications)
        if inspect.isfunction(function := getattr(keras.applications, one))
    }
    if name not in models:
        raise UnknownNameError(
            unknown_name("model of keras.applications", name, models)
        )
    module = models[name].__module__.rpartition(".")[2]
    return models[name], module
