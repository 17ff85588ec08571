"""What every answer has in common: one shape of errors, headers, metrics, documentation, and the page."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from jsonschema import Draft202012Validator
from prometheus_client import REGISTRY

from api.edge import content_security_policy
from api.problems import Problem
from embedded.stack import Stack
from tests.api.conftest import RunningApi
from tests.api.portfolio_rows import Account, store

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "errors"}


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """The body of an error, which has the one shape."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) == PROBLEM_MEMBERS
    assert problem["status"] == answer.status_code
    assert problem["type"].startswith("urn:vitals:problem:")
    assert problem["detail"]
    assert problem["instance"] == answer.url.path
    assert all(set(error) == {"field", "detail"} for error in problem["errors"])
    return problem


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "/v1/nothing", None, 404),
        ("GET", "/v1", None, 404),
        ("GET", "/assets/missing.js", None, 404),
        ("DELETE", "/v1/accounts", None, 405),
        ("POST", "/v1/auth/login", b"{", 422),
        ("POST", "/v1/auth/login", b"\xff", 400),
        ("POST", "/v1/auth/login", b"{}", 422),
        ("POST", "/v1/auth/login", b'{"email":"a@b","password":"x","more":1}', 422),
        ("POST", "/v1/auth/login", b"x" * 100_000, 413),
        ("GET", "/v1/accounts?limit=0", None, 422),
        ("GET", "/v1/accounts?limit=many", None, 422),
        ("GET", "/v1/accounts/1", None, 422),
        ("GET", "/v1/accounts/7d2a4a53-5d8a-5b7e-9c5b-0c6f0a0a1b11", None, 404),
    ],
)
def test_every_error_has_one_shape(
    client: httpx.Client, method: str, path: str, content: bytes | None, status: int
) -> None:
    answer = client.request(method, path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    problem = problem_of(answer)
    if status == 422:
        assert problem["errors"]


def test_body_without_a_length_is_limited_as_well(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/auth/login", content=iter([b"x" * 10_000] * 10), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
    problem_of(answer)


def test_missing_tables_say_what_to_do(client: httpx.Client, database: psycopg.Connection[Any]) -> None:
    database.execute("drop table health_live cascade")
    answer = client.get("/v1/summary")
    assert answer.status_code == 503
    assert "vitals bootstrap" in problem_of(answer)["detail"]


def test_fault_of_ours_is_a_problem_without_its_details(
    client: httpx.Client, database: psycopg.Connection[Any]
) -> None:
    database.execute("alter table health_live rename column score to secret_column")
    answer = client.get("/v1/summary")
    assert answer.status_code == 500
    assert "column" not in problem_of(answer)["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_outage_of_postgres_is_a_problem_and_heals(
    client: httpx.Client, database: psycopg.Connection[Any], stores_stack: Stack
) -> None:
    store(database, [Account(1, "One")])
    database.close()
    stores_stack.stop_part("postgres")
    try:
        answer = client.get("/v1/accounts")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        problem_of(answer)
    finally:
        stores_stack.start_part("postgres")
    assert client.get("/v1/accounts").json()["total"] == 1


def test_headers_keep_the_page_to_itself(client: httpx.Client, api: RunningApi) -> None:
    for path in ("/", "/docs", "/v1/summary", "/v1/nothing"):
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["connect-src"] == f"'self' ws://{api.host} wss://{api.host}"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
    assert client.get("/v1/summary").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["", "a; script-src *", "a b", "a\r\nx"])
def test_host_that_is_none_stays_out_of_the_policy(host: str) -> None:
    assert "connect-src 'self';" in content_security_policy(host)


def test_requests_are_measured_by_template(client: httpx.Client) -> None:
    account_id = "7d2a4a53-5d8a-5b7e-9c5b-0c6f0a0a1b11"
    labels = {"method": "GET", "route": "/v1/accounts/{account_id}", "status": "404"}
    before = REGISTRY.get_sample_value("vitals_http_requests_total", labels) or 0
    client.get(f"/v1/accounts/{account_id}")
    assert REGISTRY.get_sample_value("vitals_http_requests_total", labels) == before + 1
    client.request("BREW", "/v1/coffee")
    routes = {
        sample.labels["route"]
        for metric in REGISTRY.collect()
        if metric.name == "vitals_http_requests"
        for sample in metric.samples
    }
    assert account_id not in " ".join(routes)
    assert "/v1/coffee" not in routes


def test_readiness_needs_no_signing_in(api: RunningApi) -> None:
    assert httpx.get(f"{api.url}/healthz").json() == {"status": "ready"}


# --- Documentation -------------------------------------------------------------------------------------------------


@pytest.fixture
def document(api: RunningApi) -> dict[str, Any]:
    document: dict[str, Any] = httpx.get(f"{api.url}/openapi.json").json()
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def schemas_of(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    contents = [response.get("content", {}) for response in operation["responses"].values()]
    contents.append(operation.get("requestBody", {}).get("content", {}))
    for content in contents:
        for media in content.values():
            yield media["schema"]


def test_every_documented_example_fits_its_schema(document: dict[str, Any]) -> None:
    checked = 0
    for name, operation in operations(document):
        for schema in schemas_of(operation):
            resolved = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            assert resolved.get("examples"), f"{name}: {schema} has no example"
            validator = Draft202012Validator({**resolved, "components": document["components"]})
            for example in resolved["examples"]:
                validator.validate(example)
                checked += 1
    assert checked >= 20


def test_everything_is_documented(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation.get("summary"), name
        assert operation.get("description"), name
        assert operation["tags"], name
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or parameter.get("description"), f"{name}: {parameter['name']}"
        if "/v1/" in name and "auth" not in name:
            assert "401" in operation["responses"], name
        for status, response in operation["responses"].items():
            if status >= "400":
                assert list(response["content"]) == ["application/problem+json"], f"{name}: {status}"
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description"), name
        for field, shape in schema.get("properties", {}).items():
            assert shape.get("description"), f"{name}.{field}"


def test_problem_shape_is_pinned(document: dict[str, Any]) -> None:
    assert set(Problem.model_fields) == PROBLEM_MEMBERS
    assert set(document["components"]["schemas"]["Problem"]["required"]) == PROBLEM_MEMBERS


def test_reference_page_shows_every_route_and_loads_nothing_foreign(api: RunningApi, document: dict[str, Any]) -> None:
    page = httpx.get(f"{api.url}/docs").text
    for path in document["paths"]:
        assert f"{path}</code>" in page
    assert "<script" not in page
    assert "//" not in page.replace("<!doctype html>", "").split("<h1>")[0]
    assert httpx.get(f"{api.url}/docs/reference.css").headers["content-type"].startswith("text/css")


# --- The page ------------------------------------------------------------------------------------------------------


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Vitals</title>")
    (folder / "assets" / "index-a1b2c3.js").write_text("export {}")
    (folder / "vitals.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("not part of the page")
    return folder


@pytest.fixture
def page(live_writer: object, serve: Callable[..., Any], dist: Path) -> Iterator[httpx.Client]:
    with serve(options={"dist": dist}) as api, api.client() as client:
        yield client


def test_page_is_served_for_every_path_a_browser_opens(page: httpx.Client) -> None:
    for path in ("/", "/accounts/1", "/index.html"):
        answer = page.get(path, headers={"Accept": "text/html,*/*"})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
        assert "<title>Vitals</title>" in answer.text


def test_hashed_files_are_kept_for_ever(page: httpx.Client) -> None:
    answer = page.get("/assets/index-a1b2c3.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "javascript" in answer.headers["content-type"]
    assert "immutable" not in page.get("/vitals.svg").headers["cache-control"]
    assert page.head("/vitals.svg").status_code == 200


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/%00.js"])
def test_files_beside_the_page_stay_where_they_are(page: httpx.Client, path: str) -> None:
    answer = page.get(path)
    assert "not part of the page" not in answer.text
    assert answer.status_code == 404


def test_page_that_is_not_built_says_how(live_writer: object, serve: Callable[..., Any], tmp_path: Path) -> None:
    with serve(options={"dist": tmp_path / "none"}) as api, api.client() as client:
        answer = client.get("/")
        assert answer.status_code == 200
        assert "npm run build" in answer.text
        problem_of(client.get("/accounts/1", headers={"Accept": "application/json"}))
