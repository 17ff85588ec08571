"""Errors grouped by what happens next, so that a caller decides by type and never by message."""


class VitalsError(Exception):
    """Base of every error that Vitals raises on purpose."""


class UserError(VitalsError):
    """A mistake the user can mend: the message is one sentence that says what to do; no stack trace is shown."""


class FatalError(VitalsError):
    """This process cannot go on, for example because the registry refuses a schema; a restart alone will not help."""


class RetriableError(VitalsError):
    """A passing fault, such as a vendor's 503: try the same thing again after a back-off.

    `retry_after_seconds` is the other side's own hint, where it gave one.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class BadRecordError(VitalsError):
    """One record is unreadable or invalid: it goes to the dead letters with this reason, the rest goes on."""


class UnknownAccountError(VitalsError):
    """A record names an account that no identity source knows: it goes to the quarantine, the rest goes on."""
