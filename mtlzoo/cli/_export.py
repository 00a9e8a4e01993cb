from pathlib import Path
from typing import Any

import click

from mtlzoo.cli import _folder, _run
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
    help="Smaller weights, for a .tflite file.",
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

    PATHS are two: a run's folder or a .keras file, and where to. That is a folder of
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
        "--quantize": (quantize, "litert"),
        "--version": (version, "saved_model"),
        "--pixel-scale": (pixel_scale, "saved_model"),
        "--warmup": (warmup, "saved_model"),
    }
    for name, (value, of) in options.items():
        if value is not None and of != kind:
            where = "a .tflite file" if of == "litert" else "TensorFlow Serving"
            raise click.UsageError(f"{name} is for {where}. Received: {output}.")
    file, settings = _folder.find_model(path)
    load_tensorflow()
    with working("Loading the model"):
        model = _folder.load_model(file)
    golden = None
    if settings is not None:
        rows = GOLDEN_ROWS if kind == "saved_model" else COMPARED_ROWS
        x, _ = _run.load_dataset(settings).arrays("test")
        golden = {name: column[:rows] for name, column in x.items()}
    chosen: dict[str, Any] = {"golden": golden}
    if tolerance is not None:
        chosen["tolerance"] = tolerance
    if kind == "saved_model":
        chosen |= {"version": version, "pixel_scale": pixel_scale, "warmup": warmup}
        _export_saved_model(model, output, chosen, as_json)
        return
    if kind == "litert":
        chosen["quantize"] = quantize
    _export_file(kind, model, output, chosen, as_json)


def _export_saved_model(
    model: Any, output: Path, options: dict[str, Any], as_json: bool
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
                }
            )
    say(f"Exported to {folder}; its answers are those of the model.")
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
        f"{made.weights:,}. Largest difference from the model:"
    )
    for name, difference in made.differences.items():
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
