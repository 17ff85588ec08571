"""Finding the definition that somebody means: by its name in the catalogue, or in a file that is not there yet."""

import difflib
import importlib.util
from pathlib import Path

from metrics.catalogue import catalogue
from metrics.contract import Grain, Metric
from metrics.windows import window_values
from vitals.errors import UserError


def metric_named(name: str) -> Metric:
    """A metric of the catalogue.

    Raises:
        UserError: there is none of that name.
    """
    known = {metric.name: metric for metric in catalogue()}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else "`vitals metrics list` shows all."
    raise UserError(f"There is no metric {name}: {hint}")


def metric_in(path: Path) -> Metric:
    """The `METRIC` of a Python file, which is run for it.

    Raises:
        UserError: the file is absent, does not run or defines no metric.
    """
    if not path.is_file():
        raise UserError(f"The file {path} does not exist.")
    spec = importlib.util.spec_from_file_location(f"metric_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the author's file trips over is for the author to read
        raise UserError(f"{path} does not run: {type(error).__name__}: {_one_line(error)}") from error
    metric = getattr(module, "METRIC", None)
    if not isinstance(metric, Metric):
        raise UserError(f"{path} has no METRIC = Metric(…).")
    return metric


def require_sql(metric: Metric, grain: Grain) -> None:
    """Compiles a metric, so that what is wrong with its expression shows before history is read for it.

    Raises:
        UserError: the expression is none over the event table.
    """
    try:
        window_values(metric, grain, "duckdb")
    except Exception as error:  # the expression is the author's code, and so is what it raises
        raise UserError(f"{metric.name} does not compile: {type(error).__name__}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
