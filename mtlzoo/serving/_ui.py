"""The page to try models on: its files, and what it shows of the models."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mtlzoo.serving._errors import ServingError
from mtlzoo.serving._models import Models, Spec
from mtlzoo.serving._recorded import facts

_FOLDER = Path(__file__).parent / "ui"
_FILES = {
    "/": ("page.html", "text/html"),
    "/ui/page.css": ("page.css", "text/css"),
    "/ui/page.js": ("page.js", "text/javascript"),
    "/ui/fields.js": ("fields.js", "text/javascript"),
}
_HEADERS = {
    # Nothing from elsewhere runs in the page, and no other page frames it.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


def routes(models: Models) -> Iterator[BaseRoute]:
    """Yield the routes of the page; what it asks of models goes over REST."""
    for path, (name, media_type) in _FILES.items():
        content = (_FOLDER / name).read_bytes()
        response = Response(content, headers=_HEADERS, media_type=media_type)
        yield Route(path, response)

    async def names(request: Request) -> JSONResponse:
        return JSONResponse(models.names())

    async def of_model(request: Request) -> JSONResponse:
        try:
            with models.use(Spec(request.path_params["name"])) as servable:
                return JSONResponse(await asyncio.to_thread(facts, servable))
        except ServingError as error:
            return JSONResponse({"error": error.message}, error.status.http)

    yield Route("/ui/models", names)
    yield Route("/ui/models/{name}", of_model)
