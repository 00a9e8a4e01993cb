from pathlib import Path
from typing import Any

import click

from mtlzoo import _bundles
from mtlzoo.cli import _bundle, _folder, _run
from mtlzoo.cli._output import (
    as_json,
    load_tensorflow,
    print_json,
    say,
    say_next,
    working,
)

GOLDEN_ROWS = 8
COMPARED_ROWS = 100
_QUANTIZED = {("litert", "float16"), ("litert", "int8"), ("saved_model", "int8")}


@click.command()
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATHS"
)
@click.option(
    "--version", type=click.IntRange(1), help="By default the next free number."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, min_open=True),
    help="Largest difference between the export and the model; 1e-5 by default.",
)
@click.option(
    "--quantize",
    type=click.Choice(["float16", "int8"]),
    help="Smaller weights; float16 for a .tflite file alone.",
)
@click.option(
    "--pixel-scale",
    type=float,
    help="What pixels, 0 to 255, are multiplied by where the model takes floats.",
)
@click.option(
    "--warmup/--no-warmup",
    default=None,
    help="Record requests that the server tries first; by default where it can be.",
)
@click.option(
    "--deploy",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write files to deploy the exports at PATHS with.",
)
@as_json
def export(
    paths: tuple[Path, ...],
    version: int | None,
    tolerance: float | None,
    quantize: str | None,
    pixel_scale: float | None,
    warmup: bool | None,
    deploy: Path | None,
    as_json: bool,
) -> None:
    """Export a trained model for TensorFlow Serving, devices or other runtimes.

    PATHS are two: a run's folder, a .keras file or the name of a pretrained bundle, and
    where to. That is a folder of
    versions, of which the export becomes the next, or a file that ends in .tflite
    (LiteRT) or .onnx.

    With --deploy DIR, PATHS are any number of folders of versions, exported before, and
    DIR gets models.config, batching.config, monitoring.config, compose.yaml and
    inference_service.yaml for them.
    """
    if deploy is not None:
        _deploy(paths, deploy, as_json)
        return
    if len(paths) != 2:
        raise click.UsageError(
            f"PATHS must be two: a model, and where to. Received {len(paths)}."
        )
    path, output = paths
    kind = {".tflite": "litert", ".onnx": "onnx"}.get(output.suffix, "saved_model")
    options = {
        "--version": (version, "saved_model"),
        "--pixel-scale": (pixel_scale, "saved_model"),
        "--warmup": (warmup, "saved_model"),
    }
    for name, (value, of) in options.items():
        if value is not None and of != kind:
            raise click.UsageError(
                f"{name} is for TensorFlow Serving. Received: {output}."
            )
    if quantize and (kind, quantize) not in _QUANTIZED:
        raise click.UsageError(
            f"--quantize {quantize} is not for {output}. A .tflite file takes float16 "
            "and int8, TensorFlow Serving int8."
        )
    model, x = _load(path)
    chosen: dict[str, Any] = {}
    if tolerance is not None:
        chosen["tolerance"] = tolerance
    if kind == "saved_model":
        cost: dict[str, Any] = {}
        if quantize:
            with working("Making the weights int8"):
                model, cost = _int8(model, _first(x, COMPARED_ROWS))
        chosen |= {"version": version, "pixel_scale": pixel_scale, "warmup": warmup}
        chosen["golden"] = _first(x, GOLDEN_ROWS)
        _export_saved_model(model, output, chosen, cost, as_json)
        return
    if kind == "litert":
        chosen["quantize"] = quantize
    chosen["golden"] = _first(x, COMPARED_ROWS)
    _export_file(kind, model, output, chosen, as_json)


def _load(path: Path) -> tuple[Any, Any]:
    """Return a model, and rows that it was not trained on, if any are known."""
    if (place := _bundle.source(str(path))) is not None:
        load_tensorflow()
        bundle = _bundles.find(place)
        with working("Loading the model"):
            return _bundles.build_model(bundle), bundle.golden()[0]
    file, settings = _folder.find_model(path)
    load_tensorflow()
    with working("Loading the model"):
        model = _folder.load_model(file)
    if settings is None:
        return model, None
    return model, _run.load_dataset(settings).arrays("test")[0]


def _first(x: Any, rows: int) -> Any:
    return x and {name: column[:rows] for name, column in x.items()}


def _int8(model: Any, rows: Any) -> tuple[Any, dict[str, Any]]:
    """Return a copy of the model with int8 weights, and what that costs on rows."""
    import numpy as np

    from mtlzoo.export import quantized

    made = quantized(model)
    weights = [sum(one.nbytes for one in each.get_weights()) for each in (made, model)]
    cost: dict[str, Any] = {"size": weights[0], "weights": weights[1]}
    if rows:
        before, after = (one.predict(rows, verbose=0) for one in (model, made))
        cost["differences"] = {
            name: float(np.max(np.abs(values - after[name])))
            for name, values in before.items()
        }
    return made, cost


def _export_saved_model(
    model: Any,
    output: Path,
    options: dict[str, Any],
    cost: dict[str, Any],
    as_json: bool,
) -> None:
    from mtlzoo.export import ExportedModel, saved_model

    with working("Exporting, and comparing the export with the model"):
        folder = saved_model(model, output, **options)
    if as_json:
        with ExportedModel(folder) as exported:
            print_json(
                {
                    "folder": str(folder),
                    "version": int(folder.name),
                    "signatures": exported.signatures,
                    "inputs": _specs(exported.inputs),
                    "outputs": _specs(exported.outputs),
                    **cost,
                }
            )
    say(f"Exported to {folder}; its answers are those of the model.")
    if cost:
        say(f"Bytes of weights: {cost['size']:,}; before: {cost['weights']:,}.")
    _say_differences(cost.get("differences", {}))
    say_next(
        f"mtlzoo serve {output}",
        f"mtlzoo export --deploy deploy {output}",
        f"tensorflow_model_server --model_name={output.name} "
        f"--model_base_path={output.absolute()} --rest_api_port=8501",
    )


def _export_file(
    kind: str, model: Any, output: Path, options: dict[str, Any], as_json: bool
) -> None:
    from mtlzoo import export

    with working("Converting, and comparing the file with the model"):
        made = getattr(export, kind)(model, output, **options)
    if as_json:
        print_json(
            {
                "path": str(made.path),
                "size": made.size,
                "weights": made.weights,
                "differences": made.differences,
            }
        )
    say(
        f"Exported to {made.path}: {made.size:,} bytes, where the model's weights are "
        f"{made.weights:,}."
    )
    _say_differences(made.differences)


def _say_differences(differences: dict[str, float]) -> None:
    if differences:
        say("Largest difference from the model:")
    for name, difference in differences.items():
        say(f"  {name}: {difference:.2g}")


def _deploy(paths: tuple[Path, ...], folder: Path, as_json: bool) -> None:
    load_tensorflow()
    from mtlzoo.export import deployment

    files = deployment(paths, folder)
    if as_json:
        print_json({"files": [str(path) for path in files]})
    say(f"Written to {folder}/:")
    for path in files:
        say(f"  {path.name}")
    say("Read the comments: they say what to tune.")
    say_next(f"cd {folder} && docker compose up")


def _specs(specs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"shape": list(spec.shape), "dtype": spec.dtype.name}
        for name, spec in specs.items()
    }
