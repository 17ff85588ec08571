"""What the columns of a file mean: the mapping file, and one row as an event. Pure but for `load_mapping`."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
import yaml
from jsonschema import Draft202012Validator

from connectors.account_facts import PERSON, VALUE, FactError, checked
from connectors.contract import MappedEvent
from connectors.fields import account_identity, crm_account_id, decimal_value
from schemas.topics import EVENTS_TOPICS
from vitals.errors import BadRecordError, UserError

CRM_ACCOUNT = "crm:account:"
LARGEST_VALUE = Decimal(10**18)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_UNITS = {"epoch_seconds": timedelta(seconds=1), "epoch_milliseconds": timedelta(milliseconds=1)}


@dataclass(frozen=True, slots=True)
class FileMapping:
    """A mapping file. `kind` is constant where `kind_column` is None; `kinds` translates the column's words."""

    name: str
    kind: str
    kind_column: str | None
    kinds: Mapping[str, str]
    time_column: str
    time_format: str
    zone: ZoneInfo | None
    account_column: str
    identity: str
    user_column: str | None
    value_column: str | None
    id_columns: tuple[str, ...]
    properties: Mapping[str, str]
    fingerprint: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, each once."""
        named = (
            self.kind_column, self.time_column, self.account_column, self.user_column, self.value_column,
            *self.id_columns, *self.properties.values(),
        )  # fmt: skip
        return tuple(dict.fromkeys(column for column in named if column is not None))

    def event(self, row: Mapping[str, Any], row_id: str) -> MappedEvent:
        """One row. `row_id` identifies it where the mapping names no columns that do.

        Raises:
            BadRecordError: a column is empty or holds what it must not.
        """
        user, value = _optional(row, self.user_column), _optional(row, self.value_column)
        texts = {name: _optional(row, column) for name, column in self.properties.items()}
        event = MappedEvent(
            kind=self._kind(row),
            object_type=self.name,
            source_id="\x1f".join(_text(row, column) for column in self.id_columns) if self.id_columns else row_id,
            event_time=self._event_time(row),
            account_ref=self._account(_text(row, self.account_column)),
            user=user,
            value=None if value is None or self.value_column is None else _number(value, self.value_column),
            properties={name: text for name, text in texts.items() if text is not None},
        )
        try:
            return checked(event)
        except FactError as error:
            raise BadRecordError(f"{self._shown(error.field)} {error.reason}.") from error

    def _shown(self, field: str) -> str:
        """The column that holds a field, else what the mapping calls the field."""
        column = {VALUE: self.value_column, PERSON: self.user_column}.get(field) or self.properties.get(field)
        return column or field

    def _kind(self, row: Mapping[str, Any]) -> str:
        if self.kind_column is None:
            return self.kind
        word = _text(row, self.kind_column)
        kind = self.kinds.get(word) if self.kinds else word
        if kind is None:
            raise BadRecordError(f"{self.kind_column} is {word!r}, which the mapping gives no kind.")
        if not has_topic(kind):
            raise BadRecordError(f"{self.kind_column} is {kind!r}, whose domain has no events topic.")
        return kind

    def _account(self, value: str) -> str:
        if self.identity == CRM_ACCOUNT:
            return account_identity(crm_account_id(value) or value.removeprefix(CRM_ACCOUNT))
        return f"{self.identity}{value}"

    def _event_time(self, row: Mapping[str, Any]) -> datetime:
        text, column = _text(row, self.time_column), self.time_column
        unit = _EPOCH_UNITS.get(self.time_format)
        try:
            if unit is not None:
                return _EPOCH + unit * float(text) if "." in text else _EPOCH + unit * int(text)
            if self.time_format == "iso":
                moment = datetime.fromisoformat(text)
            else:
                moment = datetime.strptime(text, self.time_format)  # noqa: DTZ007 - the zone follows
        except (ValueError, OverflowError) as error:
            raise BadRecordError(f"{column} is not a time in the form {self.time_format}: {text!r}.") from error
        if moment.tzinfo is None:
            if self.zone is None:
                raise BadRecordError(f"{column} has no offset and the mapping no event_time.zone: {text!r}.")
            moment = moment.replace(tzinfo=self.zone)
        try:
            return moment.astimezone(UTC)
        except OverflowError as error:
            raise BadRecordError(f"{column} is outside the years that a date can hold: {text!r}.") from error


def has_topic(kind: str) -> bool:
    """Whether a kind's domain has an events topic."""
    domain, dot, verb = kind.partition(".")
    return bool(dot and verb) and f"events.{domain}" in EVENTS_TOPICS


def load_mapping(path: Path) -> FileMapping:
    """The mapping in a YAML file.

    Raises:
        UserError: the file is absent, or says what a mapping cannot.
    """
    try:
        told = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"The mapping {path} does not exist; docs/import.md shows one.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"The mapping {path} cannot be read: {' '.join(str(error).split())}") from error
    schema = orjson.loads((resources.files("connectors.file_import") / "mapping.schema.json").read_text())
    problems = sorted(Draft202012Validator(schema).iter_errors(told), key=lambda problem: list(problem.path))
    if problems:
        where = ".".join(str(part) for part in problems[0].path) or "the mapping"
        raise UserError(f"The mapping {path} is not valid: {where}: {problems[0].message}.")
    return _mapping(path, told)


def _mapping(path: Path, told: Mapping[str, Any]) -> FileMapping:
    kind, time, account = told["kind"], told["event_time"], told["account"]
    kinds: Mapping[str, str] = {} if isinstance(kind, str) else kind.get("values", {})
    for constant in (kind, *kinds.values()) if isinstance(kind, str) else kinds.values():
        if not has_topic(constant):
            domains = ", ".join(topic.partition(".")[2] for topic in EVENTS_TOPICS)
            raise UserError(f"The mapping {path} names the kind {constant}: its domain must be one of {domains}.")
    time_format = time.get("format", "iso")
    if time_format != "iso" and time_format not in _EPOCH_UNITS and "%" not in time_format:
        raise UserError(
            f"The mapping {path} has the event_time.format {time_format}: use iso, epoch_seconds, epoch_milliseconds "
            "or a pattern such as %d/%m/%Y %H:%M."
        )
    identifying = told.get("source_id", ())
    return FileMapping(
        name=told["name"],
        kind=kind if isinstance(kind, str) else "",
        kind_column=None if isinstance(kind, str) else kind["column"],
        kinds=kinds,
        time_column=time["column"],
        time_format=time_format,
        zone=_zone(path, time.get("zone")),
        account_column=account["column"],
        identity=account.get("identity", CRM_ACCOUNT),
        user_column=told.get("user"),
        value_column=told.get("value"),
        id_columns=(identifying,) if isinstance(identifying, str) else tuple(identifying),
        properties=told.get("properties", {}),
        fingerprint=hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest(),
    )


def _zone(path: Path, name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UserError(f"The mapping {path} has the event_time.zone {name}: use one such as Europe/Lisbon.") from error


def _optional(row: Mapping[str, Any], column: str | None) -> str | None:
    """A column as text; None where it is empty."""
    value = None if column is None else row.get(column)
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _text(row: Mapping[str, Any], column: str) -> str:
    value = _optional(row, column)
    if value is None:
        raise BadRecordError(f"{column} is empty.")
    return value


def _number(text: str, column: str) -> Decimal:
    number = decimal_value(text, column)
    if abs(number) >= LARGEST_VALUE:
        raise BadRecordError(f"{column} must be smaller than {LARGEST_VALUE:.0E}: {text!r}.")
    return number
