"""`vitals metrics list`, `new` and `reference`, and what `preview` refuses before it reads anything."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from metrics.authoring.definitions import metric_in
from metrics.authoring.reference import BEGIN, reference
from metrics.catalogue import catalogue
from metrics.cli import MERGE_KINDS, group
from tests.metrics.contract import check_metric
from vitals.errors import UserError
from vitals.marked_page import with_table

ROOT = Path(__file__).resolve().parents[2]

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    return lambda *arguments: CliRunner().invoke(group, [str(each) for each in arguments])


def refused(result: Result) -> str:
    """The one sentence of a mistake, which `vitals` shows with exit status 2."""
    assert isinstance(result.exception, UserError), result.output
    sentence = str(result.exception)
    assert "\n" not in sentence
    return sentence


def module_in(path: Path) -> object:
    import importlib.util

    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_list_has_a_line_a_metric(run: Run) -> None:
    lines = run("list").output.splitlines()
    assert [line.split()[0] for line in lines] == ["name", *(metric.name for metric in catalogue())]
    seats = next(line for line in lines if line.startswith("billing.seats "))
    assert "Seats of the newest paid invoice in the window; 0 after a cancellation." in seats


def test_list_by_domain_and_as_json(run: Run) -> None:
    told = json.loads(run("list", "--domain", "support", "--json").output)
    assert {metric["name"].partition(".")[0] for metric in told} == {"support"}
    opened = next(metric for metric in told if metric["name"] == "support.tickets_opened")
    assert opened["grains"] == ["hour", "day"]
    assert opened["topic"] == "events.support"
    assert "choose one of billing, crm, product, support" in refused(run("list", "--domain", "sales"))


@pytest.mark.parametrize("merge", MERGE_KINDS)
def test_a_new_metric_keeps_the_contract_as_it_is(run: Run, tmp_path: Path, merge: str) -> None:
    for domain in ("product", "support", "crm", "billing"):
        result = run("new", f"{domain}.made_up", "--merge", merge, "--folder", tmp_path)
        assert result.exit_code == 0, result.output
        path = tmp_path / f"{domain}_made_up.py"
        assert str(path) in result.output
        check_metric(module_in(path))
        assert metric_in(path).merge == merge
    for tool in (("check",), ("format", "--check")):
        subprocess.run([sys.executable, "-m", "ruff", *tool, "--config", ROOT / "pyproject.toml", tmp_path], check=True)


def test_a_new_metric_reads_the_kind_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    assert run("new", "crm.lost", "--kind", "crm.opportunity_lost", "--folder", tmp_path).exit_code == 0
    path = tmp_path / "crm_lost.py"
    assert 'of_kind("crm.opportunity_lost")' in path.read_text()
    check_metric(module_in(path))
    for kind in ("product.feature_used", "crm"):
        sentence = refused(run("new", "crm.more_lost", "--kind", kind, "--folder", tmp_path))
        assert sentence.startswith(f"{kind} is not a kind of events.crm")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("product.events", "There is a metric product.events already."),
        ("seats", "seats is not a metric's name: use domain.words_in_lower_case, such as crm.things_done."),
        ("billing.Seats", "billing.Seats is not a metric's name: use domain.words"),
        ("billing.../seats", "is not a metric's name"),
        ("sales.won", "There is no topic events.sales for sales.won: its domain must be one of crm, support, product"),
    ],
)
def test_a_name_that_cannot_be_is_refused(run: Run, tmp_path: Path, name: str, reason: str) -> None:
    assert reason in refused(run("new", name, "--folder", tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_file_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    run("new", "crm.made_up", "--folder", tmp_path)
    assert refused(run("new", "crm.made_up", "--folder", tmp_path)).endswith("exists already.")
    assert "cannot be written" in refused(run("new", "crm.made_up", "--folder", tmp_path / "nowhere"))


def test_the_page_is_current(run: Run, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert page == with_table(page, BEGIN, reference(catalogue())), (
        "run: vitals metrics reference --write docs/metrics.md"
    )
    written = tmp_path / "page.md"
    written.write_text(page.replace("`crm.amount_won`", "`crm.forgotten`"))
    assert run("reference", "--write", written).exit_code == 0
    assert written.read_text() == page
    assert run("reference").output in page
    written.write_text("no marks")
    assert "has no place for the table" in refused(run("reference", "--write", written))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["product.evnts"], "There is no metric product.evnts: did you mean product.events or "),
        (["zzz"], "`vitals metrics list` shows all."),
        ([], "Say which metric"),
        (["--file", "absent.py"], "The file absent.py does not exist."),
        (["product.events", "--to", "2023-01-01"], "--to 2023-01-01 00:00 must be later than --from"),
        (["product.events", "--to", "soon"], "soon is not a date such as 2023-11-01"),
    ],
)
def test_preview_refuses_in_one_sentence(run: Run, arguments: list[str], reason: str) -> None:
    assert reason in refused(run("preview", *arguments, "--from", "2023-02-01"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("METRIC = ", "does not run: SyntaxError"),
        ("import nothing_like_it", "does not run: ModuleNotFoundError"),
        ("METRIC = 3", "has no METRIC = Metric(…)."),
        (
            "from metrics.contract import Metric\n"
            "METRIC = Metric('crm.x', 'events.crm', 'count', lambda events: events.colour == 'red', 'u', 'o', 'd')",
            "crm.x does not compile: AttributeError",
        ),
    ],
)
def test_preview_of_a_broken_file(run: Run, tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    assert reason in refused(run("preview", "--file", path, "--from", "2023-02-01"))


def test_a_file_of_another_metric_is_refused(run: Run, tmp_path: Path) -> None:
    run("new", "crm.made_up", "--folder", tmp_path)
    sentence = refused(run("preview", "crm.other", "--file", tmp_path / "crm_made_up.py", "--from", "2023-02-01"))
    assert sentence.endswith("defines crm.made_up, not crm.other.")
