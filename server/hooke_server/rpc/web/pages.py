"""The page: the files that `clients/web` was built into, as part of this package."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).resolve().parents[2] / "web"
"""`hooke_server/web`, which exists where the page was built."""

ASSETS = "assets"
"""The folder of files whose names hold a digest of what is in them."""

MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Said here, because what the system says differs between machines."""

NOT_BUILT = (
    "<!doctype html><title>Hooke</title><p>Hooke serves its calls here, but its page was not"
    " built: run <code>make page</code> in a checkout and start the server again."
)


class Pages(StaticFiles):
    """The files, and the page itself for every other path, since the page reads its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, check_dir=False)
        self._index = folder / "index.html"

    async def check_config(self) -> None:
        """Nothing: a page that was not built is told of when it is asked for."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, the page, or that there is none."""
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or Path(path).parts[:1] == (ASSETS,):
                raise
        if not self._index.is_file():
            return HTMLResponse(NOT_BUILT, 404)
        return self.file_response(self._index, self._index.stat(), scope)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """A file with its media type, kept by browsers for ever if its name tells its content."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        path = Path(full_path)
        lasts = path.parent.name == ASSETS
        keep = "public, max-age=31536000, immutable" if lasts else "no-cache"
        response.headers["cache-control"] = keep
        if isinstance(response, FileResponse) and path.suffix in MEDIA_TYPES:
            kind = MEDIA_TYPES[path.suffix]
            charset = "; charset=utf-8" if kind.startswith("text/") else ""
            response.headers["content-type"] = kind + charset
        return response
