"""Every mistake in a health model's file, each with its place and what would be right. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import yaml
from jsonschema import ValidationError

from analytics.health.measures import InvalidModelError
from analytics.health.model import parse_model
from models.loader import validator

Path = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Finding:
    """One mistake. Lines and columns count from 1; 0 where the file has no such place."""

    line: int
    column: int
    place: str
    message: str


def lint(text: str, metrics: Mapping[str, tuple[str, ...]]) -> list[Finding]:
    """The mistakes of a model's text in the order of their places; none: it is a valid model.

    metrics: grains of every metric that there is.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        definition = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        return [
            Finding(mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, "$", f"not YAML: {error.problem}")
        ]
    if root is None:
        return [Finding(0, 0, "$", "the file is empty")]
    found = [
        _finding(root, tuple(error.absolute_path), message)
        for error in validator().iter_errors(definition)
        for message in _messages(error)
    ]
    if not found:
        found = [_finding(root, path, message) for path, message in _unknown_metrics(definition, metrics)]
    if not found:
        try:
            parse_model(definition)
        except InvalidModelError as error:
            found = [_finding(root, _named_place(definition, str(error)), str(error).rstrip("."))]
    return sorted(set(found))


def _messages(error: ValidationError) -> Iterator[str]:
    """In words of the model, with what is allowed and what was probably meant."""
    schema: Any = error.schema
    instance: Any = error.instance
    if error.validator == "additionalProperties":
        known = list(schema.get("properties", {}))
        for name in sorted(set(instance) - set(known)):
            yield f"{name} is not known here{_meant(name, known)}; known are {', '.join(known)}"
    elif error.validator == "enum":
        allowed = [str(each) for each in schema["enum"]]
        yield f"{error.instance} is none of {', '.join(allowed)}{_meant(str(error.instance), allowed)}"
    elif error.validator == "required":
        yield f"{error.message.split(chr(39))[1]} is missing"
    elif "propertyNames" in error.absolute_schema_path:
        yield f"{error.instance} does not belong to this comparison"
    else:
        yield error.message


def _unknown_metrics(definition: Any, metrics: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[Path, str]]:
    for number, signal in enumerate(definition["signals"]):
        named: list[tuple[Path, str]] = [
            (("signals", number, part, place, "metric"), term["metric"])
            for part in ("inputs", "denominator")
            for place, term in enumerate(signal.get(part, ()))
        ]
        if "applies_after_first" in signal:
            named.append((("signals", number, "applies_after_first"), signal["applies_after_first"]))
        for path, metric in named:
            if metric not in metrics:
                yield path, f"there is no metric {metric}{_meant(metric, list(metrics))}: vitals metrics list shows all"
            elif "day" not in metrics[metric]:
                yield path, f"{metric} has no day windows, only {', '.join(metrics[metric])}: a model reads days"


def _meant(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, 1, 0.7)
    return f" (did you mean {near[0]}?)" if near else ""


def _named_place(definition: Any, message: str) -> Path:
    """The entry that a sentence names, such as `Signal usage_volume: …`."""
    for part, word in (("signals", "Signal"), ("segments", "Segment"), ("bands", "Band"), ("groups", "Group")):
        for number, entry in enumerate(definition.get(part, ())):
            if f"{word} {entry['name']}" in message or f"band {entry['name']}" in message:
                return (part, number)
    return (message.split(":")[0],) if message.split(":")[0] in definition else ()


def _finding(root: yaml.Node, path: Path, message: str) -> Finding:
    node = root
    for step in path:
        below = _below(node, step)
        if below is None:
            break
        node = below
    place = "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return Finding(node.start_mark.line + 1, node.start_mark.column + 1, place, message)


def _below(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        found: yaml.Node = node.value[step]
        return found
    return None
