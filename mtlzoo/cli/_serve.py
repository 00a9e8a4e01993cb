import logging
from pathlib import Path

import click

from mtlzoo.cli._output import as_json, load_tensorflow, print_json, say, working


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8501,
    show_default=True,
    help="For REST; 0 takes a free one.",
)
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65535),
    default=8500,
    show_default=True,
    help="For gRPC; 0 takes a free one.",
)
@click.option(
    "--max-batch-size",
    type=click.IntRange(0),
    default=0,
    help="Rows of different requests that run together; 0 for none.",
)
@click.option(
    "--poll-seconds",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Between two looks for new versions.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds that a request may take.",
)
@click.option("--ui", is_flag=True, help="Serve a page to try the models on.")
@click.option(
    "--trust", is_flag=True, help="Load models that use files, Python or networks."
)
@click.option(
    "--expose", is_flag=True, help="Allow a host that other machines can reach."
)
@as_json
def serve(
    path: Path,
    host: str,
    port: int,
    grpc_port: int,
    max_batch_size: int,
    poll_seconds: float,
    timeout: float,
    ui: bool,
    trust: bool,
    expose: bool,
    as_json: bool,
) -> None:
    """Serve exported models as TensorFlow Serving does, for development and CI.

    PATH is a folder of versions as `mtlzoo export` writes it, a folder of such folders,
    or a models.config file. New versions are taken as they appear. In production, run
    tensorflow_model_server on the same folder.
    """
    load_tensorflow()
    from mtlzoo import serving

    logging.basicConfig(format="%(message)s")
    logging.getLogger("mtlzoo.serving").setLevel(logging.INFO)
    server = serving.serve(
        path,
        host=host,
        port=port,
        grpc_port=grpc_port,
        max_batch_size=max_batch_size,
        poll_seconds=poll_seconds,
        timeout=timeout,
        ui=ui,
        trust=trust,
        expose=expose,
    )
    with working("Loading the models"):
        server.start()
    with server:
        if as_json:
            print_json(
                {"rest": server.url, "grpc": server.grpc_url, "models": server.models}
            )
        say(f"Serving {', '.join(server.models)}, for development and CI.")
        say(f"  REST  {server.url}/v1/models/{server.models[0]}")
        say(f"  gRPC  {server.grpc_url}")
        if ui:
            say(f"  page  {server.url}/")
        say("Stop with Ctrl-C: requests at work are answered first.")
        server.wait()
