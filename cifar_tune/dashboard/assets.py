"""The page's own files, and plotly.js out of the plotly package; nothing comes from the network."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from cifar_tune.dashboard.payload import Payload, respond

FOLDER = Path(__file__).parent / "static"
PAGE = "index.html"
TYPES = {
    PAGE: "text/html; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "dashboard.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
PLOTLY = "plotly.js"


def asset(request: Request) -> Response:
    """One of the page's files by its name; the page itself without one."""
    name = request.path_params.get("name", PAGE)
    if name == PLOTLY:
        return respond(request, plotly(), TYPES["dashboard.js"])
    if name not in TYPES:
        return Response("there is no such file\n", 404, media_type="text/plain")
    return respond(request, _own(name), TYPES[name])


@cache
def plotly() -> Payload:
    """plotly.js, 4.8 MB, compressed once to 1.5 MB."""
    found = importlib.util.find_spec("plotly")
    assert found is not None
    assert found.submodule_search_locations is not None
    path = Path(found.submodule_search_locations[0], "package_data", "plotly.min.js")
    return Payload(path.read_bytes(), tag=f"plotly-{importlib.metadata.version('plotly')}")


@cache
def _own(name: str) -> Payload:
    return Payload((FOLDER / name).read_bytes())


def warm() -> None:
    """Compresses plotly.js and imports what the first answers need."""
    importlib.import_module("matplotlib")
    assert plotly().compressed
