"""The reference page `/docs`, made from the OpenAPI document: no script, and nothing from elsewhere."""

import json
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response

LIVE = """
<section><h2>Websocket <code>/v1/live</code></h2>
<p>With the session cookie, or a first message <code>{"type":"auth","access_token":…}</code> within 5 s. Then
<code>{"type":"subscribe","channel":"portfolio","resume":…}</code>, or channel <code>account</code> with
<code>account_id</code>. Answers are <code>snapshot</code>, <code>delta</code> (numbered, at most four a second, the
newest value an account), <code>heartbeat</code> every 10 s and <code>degraded</code> while live scores stand still.
Keep the newest <code>resume</code> and send it after a drop: you then get what you missed, or a snapshot. Scores,
contributions and coverage are integers in 10⁻⁶ here. Close code 4401: sign in again; 4400: not a message of this
protocol.</p></section>
"""


def install(app: FastAPI) -> None:
    """Adds `/docs` and its style sheet."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(render(app.openapi()))

    @app.get("/docs/reference.css", include_in_schema=False)
    async def style() -> Response:
        return Response(_style(), media_type="text/css")


@cache
def _style() -> str:
    return (resources.files("api") / "reference.css").read_text()


def render(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document."""
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    schemas = document["components"]["schemas"]
    operations = "".join(
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/docs/reference.css"></head><body>'
        f"<h1>{title}</h1><p>{escape(document['info'].get('description', ''))}</p>"
        '<p>Machine-readable: <a href="/openapi.json">openapi.json</a></p>'
        f"{operations}{LIVE}<h2>Objects</h2>{''.join(_schema(name, schemas[name]) for name in sorted(schemas))}"
        "</body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = [
        (parameter["name"], parameter["schema"], parameter.get("description", ""), parameter.get("required", False))
        for parameter in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    parts = [
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>",
        f"<p><strong>{escape(operation.get('summary', ''))}.</strong> {escape(operation.get('description', ''))}</p>",
        _table(parameters) if parameters else "",
        f"<p>Body: {_type(body)}</p>" if body else "",
        "<ul>",
    ]
    for status, response in operation["responses"].items():
        schema = next((content.get("schema") for content in response.get("content", {}).values()), None)
        parts.append(f"<li>{status} {escape(response['description'])}{': ' + _type(schema) if schema else ''}</li>")
    return "".join([*parts, "</ul></section>"])


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", []))
    fields = [
        (field, shape, shape.get("description", ""), field in required)
        for field, shape in schema.get("properties", {}).items()
    ]
    examples = "".join(
        f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"
        for example in schema.get("examples", [])[:1]
    )
    text = escape(schema.get("description", ""))
    return f'<section id="{escape(name)}"><h3>{escape(name)}</h3><p>{text}</p>{_table(fields)}{examples}</section>'


def _table(rows: list[tuple[str, dict[str, Any], str, bool]]) -> str:
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code>{'' if required else ' (optional)'}</td><td>{_type(schema)}</td>"
        f"<td>{escape(text)}</td></tr>"
        for name, schema, text, required in rows
    )
    return f"<table><tr><th>Name</th><th>Type</th><th>Meaning</th></tr>{cells}</table>"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    kind = schema.get("type", "any")
    return escape(f"{kind} ({schema['format']})" if "format" in schema else kind)
