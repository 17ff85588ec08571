"""The dashboard, as Vite built it, at `/`."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException

DIST = Path(__file__).resolve().parent.parent / "dashboard" / "dist"

HASHED = "assets/"
"""Vite puts files whose name contains a hash of their content here: they never change."""

NOT_BUILT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Vitals</title></head>
<body>
<h1>Vitals</h1>
<p>The dashboard is not built yet. Build it and reload this page:</p>
<pre>cd dashboard
npm ci
npm run build</pre>
<p>The API is here already: <a href="/docs">reference</a>, <a href="/openapi.json">OpenAPI document</a>.</p>
</body>
</html>
"""


def install(app: FastAPI, dist: Path = DIST) -> None:
    """Serves the files of `dist`, and its `index.html` for every other path that a browser opens.

    Comes after all other routes: it matches whatever they do not.
    """
    root = dist.resolve()

    @app.api_route("/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(path: str, request: Request) -> Response:
        index = root / "index.html"
        if path.startswith("v1/") or path == "v1":
            raise HTTPException(404)
        # Looked up on each request: the dashboard may be built while the API runs.
        if "\0" in path:
            raise HTTPException(404)
        file = (root / path).resolve() if path else index
        if file != index and file.is_relative_to(root) and file.is_file():
            age = "public, max-age=31536000, immutable" if path.startswith(HASHED) else "public, max-age=300"
            return FileResponse(file, headers={"Cache-Control": age})
        if file != index and (Path(path).suffix or "text/html" not in request.headers.get("accept", "")):
            raise HTTPException(404)
        if not index.is_file():
            return HTMLResponse(NOT_BUILT, headers={"Cache-Control": "no-store"})
        return FileResponse(index, headers={"Cache-Control": "no-cache"})
