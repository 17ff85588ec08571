"""Bulk API 2.0 query jobs over a simulated world: the states of a job, and its results as pages of CSV."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.simulation.calendar import DAY, iso
from connectors.simulation.crm_records import SCHEMAS, rows
from connectors.simulation.gate import source_now, vendor_path
from connectors.simulation.identifiers import hashed, salesforce_id
from connectors.simulation.soql import Query, Row, SoqlError, parse, run
from connectors.simulation.stage import Simulation

FAULTS = {
    "bulk_refused": "400 LIMIT_EXCEEDED where a bulk job is created",
    "bulk_failed": "a bulk job that ends as Failed",
}

_KEPT_SECONDS = 7 * DAY
_PAGE = 50_000
# A job is done when it was asked about this often: neither clock moves while a test waits.
_POLLS = 3

Refuse = Callable[[Request], Response | None]
Error = Callable[[int, str, str], Response]


@dataclass(slots=True)
class _Job:
    job_id: str
    query: Query
    soql: str
    created_at: int
    state: str = "UploadComplete"
    polls: int = 0
    message: str = ""
    found: Sequence[Row] = field(default_factory=list)


class BulkSimulator:
    """The endpoints below `/services/data/v…/jobs/query`."""

    def __init__(self, simulation: Simulation, refuse: Refuse, error: Error) -> None:
        self._simulation = simulation
        self._refuse = refuse
        self._error = error
        self._jobs: dict[str, _Job] = {}

    def routes(self, place: str) -> list[Route]:
        """Routes of the jobs below a place such as `/services/data/v{version}`."""
        return [
            Route(f"{place}/jobs/query", self.create, methods=["POST"]),
            Route(f"{place}/jobs/query/", self.create, methods=["POST"]),
            Route(f"{place}/jobs/query/{{job}}", self.job, methods=["GET", "PATCH", "DELETE"]),
            Route(f"{place}/jobs/query/{{job}}/results", self.results),
        ]

    async def create(self, request: Request) -> Response:
        """`POST …/jobs/query`."""
        if refusal := self._refuse(request):
            return refusal
        if self._simulation.faults.take("salesforce", vendor_path(request.scope), "bulk_refused"):
            return self._error(400, "LIMIT_EXCEEDED", "DailyBulkV2QueryJobs Limit exceeded.")
        try:
            asked = orjson.loads(await request.body())
            soql, operation = str(asked["query"]), asked["operation"]
        except (ValueError, KeyError, TypeError):
            return self._error(400, "INVALIDJOB", "query and operation are required")
        if operation not in ("query", "queryAll") or asked.get("contentType", "CSV") != "CSV":
            return self._error(400, "INVALIDJOB", f"Unsupported operation or content type: {operation}")
        try:
            query = parse(soql, SCHEMAS.get)
        except SoqlError as refused:
            return self._error(400, refused.code, str(refused))
        if query.count_only:
            return self._error(400, "API_ERROR", "Aggregate Relationships not supported in Bulk Query")
        job = _Job(salesforce_id("750", f"{len(self._jobs)}:{soql}"), query, soql, source_now(request))
        self._jobs[job.job_id] = job
        return JSONResponse(self._told(job, request))

    async def job(self, request: Request) -> Response:
        """`GET`, `PATCH` and `DELETE …/jobs/query/{id}`."""
        if refusal := self._refuse(request):
            return refusal
        job = self._known(request)
        if job is None:
            return self._error(404, "NOT_FOUND", "The requested resource does not exist")
        if request.method == "DELETE":
            if job.state in ("UploadComplete", "InProgress"):
                return self._error(400, "API_ERROR", "The job is not in a state that can be deleted")
            del self._jobs[job.job_id]
            return Response(status_code=204)
        if request.method == "PATCH":
            if job.state not in ("UploadComplete", "InProgress"):
                return self._error(400, "API_ERROR", "The job is not in a state that can be aborted")
            job.state = "Aborted"
        else:
            self._go_on(job, request)
        return JSONResponse(self._told(job, request))

    async def results(self, request: Request) -> Response:
        """`GET …/jobs/query/{id}/results?maxRecords=&locator=`: a header row on every page."""
        if refusal := self._refuse(request):
            return refusal
        job, asked = self._known(request), request.query_params
        if job is None:
            return self._error(404, "NOT_FOUND", "The requested resource does not exist")
        if job.state != "JobComplete":
            return self._error(400, "INVALIDJOBSTATE", f"The job is {job.state}")
        size, locator = asked.get("maxRecords", str(_PAGE)), asked.get("locator", "0")
        if not size.isdigit() or not locator.isdigit() or int(locator) > len(job.found) or not int(size):
            return self._error(400, "INVALIDLOCATOR", "maxRecords or locator is invalid")
        start, until = int(locator), int(locator) + min(int(size), _PAGE)
        page = job.found[start:until]
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(job.query.fields)
        kinds = SCHEMAS[job.query.object_name]
        writer.writerows([_text(row[name], kinds[name]) for name in job.query.fields] for row in page)
        headers = {
            "sforce-numberofrecords": str(len(page)),
            "sforce-locator": str(until) if until < len(job.found) else "null",
        }
        return Response(text.getvalue(), headers=headers, media_type="text/csv; charset=UTF-8")

    def _known(self, request: Request) -> _Job | None:
        job = self._jobs.get(request.path_params["job"])
        return None if job is None or source_now(request) - job.created_at > _KEPT_SECONDS else job

    def _go_on(self, job: _Job, request: Request) -> None:
        if job.state not in ("UploadComplete", "InProgress"):
            return
        if self._simulation.faults.take("salesforce", vendor_path(request.scope), "bulk_failed"):
            job.state, job.message = "Failed", "InternalServerError: the query was ended after too many retries"
            return
        job.polls += 1
        job.state = "InProgress" if job.polls < _POLLS else "JobComplete"
        if job.state == "JobComplete":
            everything = rows(self._simulation.world, job.query.object_name, source_now(request), deleted=True)
            # Without an ORDER BY the order is anybody's guess.
            everything.sort(key=lambda row: hashed(str(row["Id"])))
            job.found = run(job.query, everything)

    def _told(self, job: _Job, request: Request) -> dict[str, object]:
        told: dict[str, object] = {
            "id": job.job_id,
            "operation": "queryAll",
            "object": job.query.object_name,
            "createdDate": iso(job.created_at).removesuffix("Z") + ".000+0000",
            "state": job.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(request.path_params["version"]),
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
        }
        if request.method == "GET":
            told |= {"jobType": "V2Query", "numberRecordsProcessed": len(job.found), "retries": 0}
        return told | ({"errorMessage": job.message} if job.message else {})


def _text(value: object, kind: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).removesuffix("+0000") + "Z" if kind == "datetime" else str(value)
