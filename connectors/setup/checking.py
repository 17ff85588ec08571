"""Whether a connector could work: settings, address, clock, credentials, one cheap request for each object, rate left.

Nothing is written and nothing else needs to run. Each step says what is precisely wrong and what to do about it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType

import httpx

from connectors.contract import Asked, Probe, Stream
from connectors.http import CredentialsError, RefusedError, TruncatedBodyError, VendorHttp, Wire
from connectors.vendor_settings import is_secret, settings_of
from vitals.clock import Clock
from vitals.errors import FatalError, RetriableError, UserError, VitalsError
from vitals.settings import Settings

LARGEST_SKEW = timedelta(minutes=2)
ATTEMPTS = 2
"""A passing fault is tried once more; whoever checks waits for the answer."""

_API_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")
_REMAINING = (
    ("x-rate-limit-remaining", "x-rate-limit"),
    ("ratelimit-remaining", "ratelimit-limit"),
    ("x-ratelimit-remaining", "x-ratelimit-limit"),
    ("x-hubspot-ratelimit-remaining", "x-hubspot-ratelimit-max"),
)


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One line of a check. `problem` None means that it is well; `advice` says what to do about a problem."""

    name: str
    note: str = ""
    problem: str | None = None
    advice: str = ""


def check_connector(
    module: ModuleType, settings: Settings, source_clock: Clock | None, wire: Wire | None = None
) -> Iterator[CheckStep]:
    """The steps for one connector, as they are taken. A step that makes the later ones pointless is the last.

    `source_clock` is what the vendor's time is compared with, None where a simulator's time is nobody's.
    """
    wire = wire or Wire(attempts=ATTEMPTS)
    if not getattr(module, "POLLED", True):
        yield CheckStep("settings", "it receives what others send; there is no vendor to ask")
        return
    try:
        streams: list[Stream] = module.create(settings, wire)
    except UserError as error:
        yield CheckStep("settings", problem=str(error), advice=f"run `vitals connectors add {module.NAME}`")
        return
    try:
        yield CheckStep("settings", "simulated" if settings.simulator_url else "complete")
        yield from _asked(module, settings, streams, source_clock, wire)
    finally:
        for stream in streams:
            stream.close()


def _asked(
    module: ModuleType, settings: Settings, streams: list[Stream], source_clock: Clock | None, wire: Wire
) -> Iterator[CheckStep]:
    address = address_of(module, settings)
    if address is not None:
        http = VendorHttp(module.NAME, wire=wire)
        try:
            answer = http.get(f"{address}/", read=lambda _response: None, tolerate=range(300, 500))
        except VitalsError as error:
            yield _failed("address", error, module, None)
            return
        finally:
            http.close()
        yield CheckStep("address", f"{address} answers")
        if source_clock is not None and "date" in answer.headers:
            skew = abs(source_clock.now() - answer.at)
            seconds = f"{skew.total_seconds():.0f} s from the vendor's"
            wrong = None if skew <= LARGEST_SKEW else f"this machine's clock is {seconds}"
            yield CheckStep("clock", seconds, wrong, "set this machine's clock, for example by NTP")
    probes = [probe for stream in streams for probe in stream.probes()]
    if not probes:
        yield CheckStep("credentials", f"not checked: `vitals connectors sync {module.NAME} --once` fetches a page")
        return
    yield from _probed(probes, module)


def _probed(probes: list[Probe], module: ModuleType) -> Iterator[CheckStep]:
    accepted, answer = False, None
    for probe in probes:
        try:
            answer = probe.ask()
        except VitalsError as error:
            if not accepted and _elsewhere(error):
                yield _failed("address", error, module, probe)
                return
            if not isinstance(error, RefusedError) or isinstance(error, CredentialsError):
                yield _failed(probe.reads if accepted else "credentials", error, module, probe)
                return
            if not accepted and error.status == 403:
                accepted = True
                yield CheckStep("credentials", "accepted")
            yield _failed(probe.reads, error, module, probe)
            continue
        if not accepted:
            accepted = True
            yield CheckStep("credentials", "accepted")
        yield CheckStep(probe.reads, "may be read")
    left = rate_left(answer) if answer is not None else None
    if left is not None:
        spent = "the vendor's rate limit is used up" if left.startswith("0 ") else None
        yield CheckStep("rate limit", left, spent, "wait, or find out who else calls the vendor")


def _failed(name: str, error: VitalsError, module: ModuleType, probe: Probe | None) -> CheckStep:
    advice = _advice(error, module, probe)
    return CheckStep(name, problem=str(error).rstrip("."), advice=advice)


def _elsewhere(error: VitalsError) -> bool:
    """Whether what answers is not the vendor's API."""
    nothing = isinstance(error, RefusedError) and (error.status in (404, 410) or 300 <= error.status < 400)
    return nothing or isinstance(error, TruncatedBodyError)


def _advice(error: VitalsError, module: ModuleType, probe: Probe | None) -> str:
    credentials, address = _variables(module)
    if isinstance(error, CredentialsError):
        return f"check {credentials}; a secret may be revoked, expired or of another account"
    if isinstance(error, RefusedError):
        if error.status == 403 and probe is not None:
            return f"grant {probe.permission}"
        if _elsewhere(error):
            return f"check {address}: the vendor has nothing there"
        return "change what the vendor's answer names"
    if isinstance(error, FatalError):
        return f"check {address} and {credentials}"
    if isinstance(error, TruncatedBodyError):
        return f"check {address}: what answers there does not speak as {module.NAME} does"
    if isinstance(error.__cause__, httpx.TransportError):
        return f"check {address}, and this machine's network, proxy and DNS"
    if isinstance(error, RetriableError) and error.retry_after_seconds:
        return f"try again in {error.retry_after_seconds:.0f} s: the vendor's rate limit is used up for now"
    return "try again: the vendor has a passing fault"


def _variables(module: ModuleType) -> tuple[str, str]:
    """The credentials' variables and the address's, as an advice names them."""
    named = [(settings, field) for settings in settings_of(module) for field in settings.model_fields]
    secret = [settings.variable(field) for settings, field in named if is_secret(settings, field)]
    url = [settings.variable(field) for settings, field in named if field in ("url", "region")]
    return ", ".join(secret) or "the credentials", ", ".join(url) or "the address"


def address_of(module: ModuleType, settings: Settings) -> str | None:
    """The vendor's address without a slash at the end; None where the connector has no setting for it."""
    if settings.simulator_url:
        return f"{settings.simulator_url.rstrip('/')}/{module.NAME}"
    for own in settings_of(module):
        with suppress(UserError):
            url = getattr(own.load(), "url", "")
            if url:
                return str(url).rstrip("/")
    return None


def rate_left(answer: Asked) -> str | None:
    """What the headers tell of the vendor's limit, `693 of 700 requests left`; None where they tell nothing.

    >>> from types import SimpleNamespace
    >>> rate_left(SimpleNamespace(at=None, headers={"x-rate-limit-remaining": "693", "x-rate-limit": "700"}))
    '693 of 700 requests left'
    >>> rate_left(SimpleNamespace(at=None, headers={"sforce-limit-info": "api-usage=18/100000"}))
    '99982 of 100000 requests left'
    """
    headers: Mapping[str, str] = answer.headers
    usage = _API_USAGE.search(headers.get("sforce-limit-info", ""))
    if usage is not None:
        return f"{max(0, int(usage[2]) - int(usage[1]))} of {usage[2]} requests left"
    for remaining, limit in _REMAINING:
        if headers.get(remaining, "").strip().isdigit():
            whole = headers.get(limit, "").strip()
            return f"{headers[remaining].strip()}{f' of {whole}' if whole.isdigit() else ''} requests left"
    return None
