"""The checks that are declared, found by walking this folder: one file, one check."""

import hashlib
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

import yaml

from analytics.quality.declarations import Check, InvalidCheckError, parse_check
from schemas.topics import EVENTS_TOPICS
from vitals.errors import UserError

FOLDER = Path(__file__).parent


def read_check(path: Path) -> Check:
    """The check in a file.

    Raises:
        UserError: the file is no valid check; the sentence names the place.
    """
    try:
        check = parse_check(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise UserError(f"Check {path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise UserError(f"Check {path} is not YAML: {error}") from error
    except InvalidCheckError as invalid:
        raise UserError(f"Check {path}: {invalid}.") from invalid
    if check.name != path.stem:
        raise UserError(f"Check {path}: name {check.name} must be that of the file, {path.stem}.")
    for topic in check.topics:
        if topic not in EVENTS_TOPICS:
            raise UserError(f"Check {path}: topic {topic} is not one of {', '.join(EVENTS_TOPICS)}.")
    return check


def read_checks(folder: Path = FOLDER) -> tuple[Check, ...]:
    """Every check of a folder, by name.

    Raises:
        UserError: a file is no valid check.
    """
    return tuple(read_check(path) for path in sorted(folder.glob("*.yaml")))


@cache
def checks() -> tuple[Check, ...]:
    """Every check of Vitals, by name."""
    return read_checks()


def require_known_gates(declared: Iterable[Check], metrics: Collection[str]) -> None:
    """Makes sure that checks gate metrics that there are.

    Raises:
        UserError: one does not.
    """
    for check in declared:
        for metric in check.gates:
            if metric not in metrics:
                raise UserError(
                    f"Check {check.name}: there is no metric {metric} to gate; `vitals metrics list` shows them all."
                )


def fingerprint(declared: Iterable[Check]) -> str:
    """Tells sets of checks apart: statistics that were gathered for one are of no use to another."""
    told = "\n".join(check.model_dump_json() for check in declared)
    return hashlib.sha256(told.encode()).hexdigest()
