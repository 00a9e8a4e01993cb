from pathlib import Path

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


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--version", type=click.IntRange(1), help="By default the next free number."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, min_open=True),
    default=1e-5,
    show_default=True,
    help="Largest difference between the export and the model.",
)
@as_json
def export(
    path: Path, output: Path, version: int | None, tolerance: float, as_json: bool
) -> None:
    """Export a trained model for TensorFlow Serving.

    PATH is a run's folder or a .keras file; OUTPUT is a folder of versions, of which
    the export becomes the next.
    """
    file, settings = _folder.find_model(path)
    load_tensorflow()
    from mtlzoo.export import ExportedModel, saved_model

    with working("Loading the model"):
        model = _folder.load_model(file)
    golden = None
    if settings is not None:
        x, _ = _run.load_dataset(settings).arrays("test")
        golden = {name: column[:GOLDEN_ROWS] for name, column in x.items()}
    with working("Exporting, and comparing the export with the model"):
        folder = saved_model(
            model, output, version=version, golden=golden, tolerance=tolerance
        )
    if as_json:
        with ExportedModel(folder) as exported:
            print_json(
                {
                    "folder": str(folder),
                    "version": int(folder.name),
                    "signatures": exported.signatures,
                    "inputs": {
                        name: {"shape": list(spec.shape), "dtype": spec.dtype.name}
                        for name, spec in exported.inputs.items()
                    },
                    "outputs": {
                        name: {"shape": list(spec.shape), "dtype": spec.dtype.name}
                        for name, spec in exported.outputs.items()
                    },
                }
            )
    say(f"Exported to {folder}; its answers are those of the model.")
    say_next(
        f"tensorflow_model_server --model_name={output.name} "
        f"--model_base_path={output.absolute()} --rest_api_port=8501"
    )
