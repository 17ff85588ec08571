"""Reads health models from YAML files: the file side of `analytics.health.model`."""

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from analytics.health.measures import InvalidModelError
from analytics.health.model import HealthModel, parse_model
from vitals.errors import UserError

MODELS = Path(__file__).parent / "health"


@cache
def validator() -> Draft202012Validator:
    """Checks definitions against `health.schema.json`."""
    schema = json.loads((resources.files("models") / "health.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def newest_model_path() -> Path:
    """The newest model file in `models/health`, by name.

    Raises:
        UserError: there is none.
    """
    paths = sorted(MODELS.glob("*.yaml"))
    if not paths:
        raise UserError(f"No health model in {MODELS}: add one, or name one with VITALS_HEALTH_MODEL.")
    return paths[-1]


def read_model(path: Path | None = None) -> HealthModel:
    """The model in a file, by default the newest.

    Raises:
        UserError: the file cannot be read or is not a valid model; the sentence names the place.
    """
    path = path or newest_model_path()
    try:
        definition = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"Health model {path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise UserError(f"Health model {path} is not YAML: {error}") from error
    return model_of(definition, str(path))


def model_of(definition: Any, source: str) -> HealthModel:
    """The model of an already loaded definition; `source` names it in errors.

    Raises:
        UserError: it is not a valid model.
    """
    # Settings of another comparison come last: a misspelt comparison causes them.
    errors = sorted(validator().iter_errors(definition), key=lambda error: "propertyNames" in error.schema_path)
    for error in errors:
        misplaced = f"{error.instance} does not belong to this comparison"
        reason = misplaced if "propertyNames" in error.schema_path else error.message
        raise UserError(f"Health model {source}, at {error.json_path}: {reason}.")
    try:
        return parse_model(definition)
    except InvalidModelError as invalid:
        raise UserError(f"Health model {source}: {invalid}") from invalid
