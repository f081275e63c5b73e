"""The page: files that are served as they are, under rules that let nothing else run in the browser.

No build step, no foreign host. What people wrote (nicknames, wallet codes,
answers of receivers) comes as JSON and is only ever set as text; should that
once be forgotten, trusted types let the browser refuse it.
"""

import functools
from importlib.resources import files

from aiohttp import web

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

_FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/charts.js": ("charts.js", "text/javascript"),
    "/words.js": ("words.js", "text/javascript"),
}


def routes() -> list[web.RouteDef]:
    """Where the files are."""
    return [web.get(path, _file) for path in _FILES]


async def _file(request: web.Request) -> web.Response:
    name, kind = _FILES[request.path]
    headers = {"Content-Security-Policy": _POLICY}
    return web.Response(text=_text(name), content_type=kind, charset="utf-8", headers=headers)


@functools.cache
def _text(name: str) -> str:
    return files("pushd").joinpath("page", name).read_text("utf-8")
