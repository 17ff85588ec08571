"""The polite HTTP client of every connector: retries what passes, heeds hints, keeps to a pace, renews tokens once.

What an answer means is decided by `classify`, with the vendor's own function asked first. Waits of seconds happen
here; a longer one is handed to the runner as `RetriableError` with its hint, so that a stop is never slow.
"""

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

import httpx
import orjson
import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from connectors.authorization import Authorization
from connectors.pace import Announced, Pace
from vitals.clock import Clock, WallClock
from vitals.errors import FatalError, RetriableError

log = structlog.get_logger()

LONGEST_WAIT_SECONDS = 10.0
"""A longer wait is the runner's."""
ATTEMPTS = 6
BACKOFF_BASE_SECONDS = 1.0
BACKOFF_CAP_SECONDS = 60.0

# 406 and 420 come from edges with an empty body, 409 is a lock or a conflict that passes.
_PASSING = frozenset({406, 408, 409, 420, 425})
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_EXCERPT = 300


class Outcome(Enum):
    """What to do with an answer."""

    DONE = "read it"
    AGAIN = "send the same request later"
    RENEW = "renew the credentials once, then send the same request"
    REFUSED = "the request itself is wrong or has no answer; the caller may know why"
    FATAL = "no request will be answered until somebody changes the configuration"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome; `wait` is the vendor's hint in seconds, or this vendor's rule where it gives none.

    `limit` names the pace whose limit refused the request, "" where the answer does not say which; None where it was
    not refused for its rate.
    """

    outcome: Outcome
    wait: float | None = None
    limit: str | None = None


Classify = Callable[[httpx.Response], Verdict | None]

ReadLimits = Callable[[Mapping[str, str]], Iterable[Announced]]
"""What the headers of an answer say of the vendor's limits."""


class TruncatedBodyError(RetriableError):
    """A body that ended early or cannot be decoded, although the status said success."""


class RefusedError(FatalError):
    """The vendor refuses a request with `status`: no repetition helps."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class CredentialsError(RefusedError):
    """The vendor rejects the credentials, new ones too."""


class _AgainError(RetriableError):
    """A request worth repeating after `retry_after_seconds`, or a back-off. `unseen`: it may have been answered."""

    def __init__(self, message: str, retry_after_seconds: float | None = None, *, unseen: bool = False) -> None:
        super().__init__(message, retry_after_seconds)
        self.unseen = unseen


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request brought. `at` is the vendor's own time of the answer (its `Date` header).

    repeated: the request was sent before, and the vendor may have answered that one too.
    """

    status: int
    body: Any
    headers: Mapping[str, str]
    at: datetime
    repeated: bool = False


def classify(response: httpx.Response) -> Verdict:
    """The verdict that holds for every vendor."""
    status = response.status_code
    if 200 <= status < 300:
        return Verdict(Outcome.DONE)
    if status == 401:
        return Verdict(Outcome.RENEW)
    if status == 429:
        return Verdict(Outcome.AGAIN, retry_after(response.headers), limit="")
    if status in _PASSING or status >= 500:
        return Verdict(Outcome.AGAIN, retry_after(response.headers))
    if status == 403 or 300 <= status < 400:
        return Verdict(Outcome.FATAL)
    return Verdict(Outcome.REFUSED)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` asks for, given as seconds or as a date; a date counts from the answer's `Date`."""
    hint = headers.get("retry-after", "").strip()
    if not hint:
        return None
    try:
        return max(0.0, float(hint))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(hint) - answered_at(headers, WallClock())).total_seconds())
    except (ValueError, TypeError):
        return None


def answered_at(headers: Mapping[str, str], clock: Clock) -> datetime:
    """The vendor's time of an answer; the given clock's where a proxy took the header away."""
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return clock.now()


def read_json(response: httpx.Response) -> Any:
    """The parsed body; raises `TruncatedBodyError` where it is not whole JSON."""
    try:
        return orjson.loads(response.read())
    except orjson.JSONDecodeError as error:
        raise TruncatedBodyError(f"The body is not whole JSON: {error}.") from error


@dataclass(frozen=True, slots=True)
class Wire:
    """What stands between a connector and its vendor; tests put a simulator and a clock of their own there.

    Without `sleep`, waits end when the client is closed. `monotonic` is the clock of the paces: who replaces `sleep`
    gives one that goes on by what was slept. `attempts` is how often a request is sent at most.
    """

    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], None] | None = None
    draw: Callable[[float, float], float] = random.uniform
    clock: Clock = field(default_factory=WallClock)
    attempts: int = ATTEMPTS
    monotonic: Callable[[], float] = time.monotonic


class VendorHttp:
    """Requests to one vendor.

    `paces` are kinds of requests and the vendor's limits that each counts against, first the one that an unnamed
    refusal is put down to; a request names its kind. Clients whose requests count together share the paces, and are
    given the same wire. `close` ends a wait.
    """

    def __init__(
        self,
        source: str,
        *,
        authorization: Authorization | None = None,
        classify_first: Classify | None = None,
        paces: Mapping[str, Sequence[Pace]] | None = None,
        read_limits: ReadLimits | None = None,
        wire: Wire | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.source = source
        self._authorization = authorization
        self._classify_first = classify_first
        self._paces = paces or {}
        self._read_limits = read_limits
        self._wire = wire or Wire()
        self._closed = threading.Event()
        self._sleep = self._wire.sleep or self._wait_open
        self._client = httpx.Client(
            transport=self._wire.transport, timeout=_TIMEOUT, headers={"User-Agent": "vitals", **(headers or {})}
        )

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        *,
        pace: str = "",
        read: Callable[[httpx.Response], Any] = read_json,
        tolerate: Collection[int] = (),
    ) -> Answer:
        """The answer to a GET. A refusal with a status in `tolerate` is returned with its text as body.

        Raises:
            RetriableError: the fault did not pass within the attempts, or the vendor asks for a longer wait.
            FatalError: the vendor refuses the credentials or the request.
        """
        return self.send("GET", url, params=params, pace=pace, read=read, tolerate=tolerate)

    def time(self, url: str) -> datetime:
        """The vendor's time by the `Date` of any answer from an address that counts against no limit."""
        return self.get(url, read=lambda _response: None, tolerate=range(300, 500)).at

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        pace: str = "",
        read: Callable[[httpx.Response], Any] = read_json,
        tolerate: Collection[int] = (),
    ) -> Answer:
        """As `get`, with any method and a body."""
        renewed = unseen = False
        # A kind that is not there is a mistake, which would go unpaced in silence.
        paces = self._paces[pace] if pace and self._paces else ()

        def attempt() -> Answer:
            nonlocal renewed, unseen
            sent = self._authorization.header() if self._authorization else None
            request = self._client.build_request(
                method, url, params=params, data=form, json=json, headers={"Authorization": sent} if sent else None
            )
            try:
                return replace(self._exchange(request, paces, read, tolerate), repeated=unseen)
            except (_AgainError, TruncatedBodyError) as error:
                unseen = unseen or not isinstance(error, _AgainError) or error.unseen
                raise
            except _RenewError as error:
                if renewed or self._authorization is None or sent is None:
                    raise CredentialsError(f"{self.source} rejects the credentials: {error}", 401) from error
                renewed = True
                self._authorization.renew(sent)
                raise _AgainError(str(error), 0.0) from error

        retrying = Retrying(
            retry=retry_if_exception_type((_AgainError, TruncatedBodyError)),
            stop=self._enough,
            wait=self._backoff,
            sleep=self._sleep,
            before_sleep=self._log_wait,
            reraise=True,
        )
        return retrying(attempt)

    def ready_in(self, pace: str, requests: int = 1) -> float:
        """Seconds until so many requests of a pace would not wait for it."""
        now = self.monotonic()
        return max((one.ready_in(requests, now) for one in self._paces.get(pace, ())), default=0.0)

    def monotonic(self) -> float:
        """Seconds on the clock of the paces and waits."""
        return self._wire.monotonic()

    def pause(self, seconds: float) -> None:
        """Waits, for example for a job at the vendor; `close` ends it.

        Raises:
            RetriableError: the client was closed.
        """
        self._sleep(seconds)

    def close(self) -> None:
        """Ends waits and closes connections."""
        self._closed.set()
        self._client.close()

    def _exchange(
        self,
        request: httpx.Request,
        paces: Sequence[Pace],
        read: Callable[[httpx.Response], Any],
        tolerate: Collection[int],
    ) -> Answer:
        self._keep_pace(paces)
        try:
            verdict, response = self._send(request, paces)
            try:
                refused = verdict.outcome not in (Outcome.DONE, Outcome.AGAIN) and response.status_code in tolerate
                if verdict.outcome is Outcome.DONE or refused:
                    body = response.text if refused else read(response)
                    return Answer(
                        response.status_code, body, response.headers, answered_at(response.headers, self._wire.clock)
                    )
            finally:
                response.close()
        except httpx.UnsupportedProtocol as error:
            raise FatalError(f"{self.source}: {request.url} is not an http address.") from error
        except (httpx.TransportError, httpx.DecodingError, httpx.StreamError) as error:
            raise _AgainError(f"{self.source}: {type(error).__name__}: {error}", unseen=True) from error
        message = f"{self.source} answered {response.status_code} to {_bare(request.url)}: {_excerpt(response)}"
        if verdict.outcome is Outcome.RENEW:
            raise _RenewError(message)
        if verdict.outcome is Outcome.AGAIN:
            raise _AgainError(message, verdict.wait, unseen=response.status_code >= 500)
        raise RefusedError(message, response.status_code)

    def _send(self, request: httpx.Request, paces: Sequence[Pace]) -> tuple[Verdict, httpx.Response]:
        """Sends a request that the paces have counted, and tells them what became of it when its answer begins."""
        verdict, at = Verdict(Outcome.AGAIN), None
        try:
            response = self._client.send(request, stream=True)
            at = self.monotonic()
            if response.status_code >= 300:
                response.read()
            verdict = (self._classify_first and self._classify_first(response)) or classify(response)
        finally:
            at = self.monotonic() if at is None else at
            verdict = _told(paces, verdict, at)
        for announced in self._read_limits(response.headers) if self._read_limits else ():
            for pace in paces:
                if pace.name == announced.limit:
                    pace.heed(announced, at)
        return verdict, response

    def _keep_pace(self, paces: Sequence[Pace]) -> None:
        """Waits until all paces have counted a request."""
        while (wait := self._take(paces)) > 0.0:
            if wait > LONGEST_WAIT_SECONDS:
                raise RetriableError(f"{self.source}: the request rate is used up.", wait)
            self._sleep(wait)

    def _take(self, paces: Sequence[Pace]) -> float:
        """0.0 where every pace has counted the request, else seconds until the first that did not may do so."""
        now = self.monotonic()
        for number, pace in enumerate(paces):
            if wait := pace.take(now):
                for taken in paces[:number]:
                    taken.withdraw()
                return wait
        return 0.0

    def _backoff(self, state: RetryCallState) -> float:
        """The vendor's hint and up to a tenth more, else full jitter below an exponential bound."""
        error = state.outcome.exception() if state.outcome else None
        hint = error.retry_after_seconds if isinstance(error, RetriableError) else None
        if hint is not None:
            return hint + self._wire.draw(0.0, hint / 10)
        bound = BACKOFF_BASE_SECONDS * 2.0 ** (state.attempt_number - 1)
        return self._wire.draw(0.0, min(BACKOFF_CAP_SECONDS, bound))

    def _enough(self, state: RetryCallState) -> bool:
        return state.attempt_number >= self._wire.attempts or state.upcoming_sleep > LONGEST_WAIT_SECONDS

    def _log_wait(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.info("vendor_retry", source=self.source, wait=round(state.upcoming_sleep, 2), reason=str(error))

    def _wait_open(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise RetriableError(f"{self.source}: the connection was closed while waiting.")


class _RenewError(Exception):
    """The vendor rejects the credentials that were sent."""


def _told(paces: Sequence[Pace], verdict: Verdict, now: float) -> Verdict:
    """The verdict on a request with the wait that its paces know, once they have been told."""
    if verdict.limit is None or not paces:
        for pace in paces:
            pace.granted(now)
        return verdict
    blamed = next((pace for pace in paces if pace.name == verdict.limit), paces[0])
    for pace in paces:
        if pace is not blamed:
            pace.passed_over(now)
    return replace(verdict, wait=blamed.refused(now, verdict.wait))


def _bare(url: httpx.URL) -> str:
    """The address without its query, which may name people."""
    return str(url.copy_with(query=None))


def _excerpt(response: httpx.Response) -> str:
    return " ".join(response.text.split())[:_EXCERPT] or "no body"
