"""Errors of the API: `application/problem+json` (RFC 9457) in one shape, whatever went wrong."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import psycopg
import psycopg.errors
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
UNEXPECTED = "Something went wrong here; the log of the API says what."


class FieldError(BaseModel):
    """What is wrong with one part of a request."""

    field: str = Field(description="Where it is: query, path or body, then the name.", examples=["query.band"])
    detail: str = Field(description="What is wrong.", examples=["Input should be 'healthy', 'watch' or 'at_risk'"])


class Problem(BaseModel):
    """An error (RFC 9457). Every member is always there."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:vitals:problem:not-found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is no account 7d2a4a53-5d8a-5b7e-9c5b-0c6f0a0a1b11.",
                    "instance": "/v1/accounts/7d2a4a53-5d8a-5b7e-9c5b-0c6f0a0a1b11",
                    "errors": [],
                }
            ]
        }
    )

    type: str = Field(description="URN of the kind of problem.", examples=["urn:vitals:problem:not-found"])
    title: str = Field(description="Short name of the status.", examples=["Not Found"])
    status: int = Field(description="HTTP status.", examples=[404])
    detail: str = Field(description="One sentence for people: what happened and what to do.")
    instance: str = Field(description="Path of the request.", examples=["/v1/accounts"])
    errors: list[FieldError] = Field(description="Each thing that is wrong with the request; else empty.")


class ProblemError(Exception):
    """Raised anywhere below a route: answered as this problem."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def problem_body(status: int, detail: str, instance: str, errors: Sequence[FieldError] = ()) -> bytes:
    """The problem as JSON."""
    title = HTTPStatus(status).phrase
    return (
        Problem(
            type=f"urn:vitals:problem:{title.lower().replace(' ', '-')}",
            title=title,
            status=status,
            detail=detail,
            instance=instance,
            errors=list(errors),
        )
        .model_dump_json()
        .encode()
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these problems."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def complete(document: dict[str, Any]) -> None:
    """Adds to an OpenAPI document what FastAPI leaves out: the schemas that `documented` refers to (it would add them
    as application/json only), and the nulls in examples.
    """
    schemas = document["components"]["schemas"]
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= {**problem.pop("$defs"), "Problem": problem}
    for model in _models(BaseModel):
        extra = model.model_config.get("json_schema_extra")
        if model.__name__ in schemas and isinstance(extra, dict) and "examples" in extra:
            schemas[model.__name__]["examples"] = extra["examples"]


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        if model.__module__.startswith("api."):
            yield model
        yield from _models(model)


def install(app: FastAPI) -> None:
    """Makes every error of the application a problem."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    for passing in (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout):
        app.add_exception_handler(passing, _on_database_away)
    app.add_exception_handler(psycopg.errors.UndefinedTable, _on_missing_table)
    app.add_exception_handler(Exception, _on_fault)


def _answer(
    request: Request,
    status: int,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = problem_body(status, detail, request.url.path, errors)
    return Response(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return _answer(request, error.status, error.detail, error.errors, error.headers)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # The input itself is not repeated: it may be a password.
    errors = [
        FieldError(field=".".join(str(part) for part in found["loc"]), detail=str(found["msg"]))
        for found in error.errors()
    ]
    return _answer(request, 422, "; ".join(f"{found.field}: {found.detail}" for found in errors), errors)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = f"There is nothing at {request.url.path}; /docs lists what there is."
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "other methods")
        detail = f"{request.url.path} does not take {request.method}, only {allowed}."
    return _answer(request, error.status_code, detail, headers=error.headers)


async def _on_database_away(request: Request, error: Exception) -> Response:
    log.warning("PostgreSQL does not answer", error=str(error))
    return _answer(request, 503, "The database does not answer. Try again shortly.", headers={"Retry-After": "2"})


async def _on_fault(request: Request, error: Exception) -> Response:
    del error  # logged by `api.edge`, to which it is raised again
    return _answer(request, 500, UNEXPECTED)


async def _on_missing_table(request: Request, error: Exception) -> Response:
    log.error("a table is missing", error=str(error))
    return _answer(request, 503, "The tables do not exist yet: run `vitals bootstrap`.", headers={"Retry-After": "10"})
