"""`vitals connectors new`: what it writes passes the contract tests at once, in a copy of the packages they need."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.setup.scaffold import scaffold
from vitals.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("vitals", "schemas", "connectors", "embedded", "tests/connectors", "docs/connectors", "pyproject.toml")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in COPIED:
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for name in ("tests/__init__.py", "tests/conftest.py", "docs/connectors.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    # The other vendors would only be tested once more.
    for simulator in (tmp_path / "connectors").glob("*/simulator.py"):
        shutil.rmtree(simulator.parent)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VITALS_")}
    # A finder of an editable installation would come after the folder, but what is compiled is not worth keeping.
    environment |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_new_connector_passes_the_contract_tests_and_can_be_checked_at_once(copy: Path) -> None:
    vitals = ("-m", "vitals", "connectors")
    said = run(copy, *vitals, "new", "pipedream", "--display", "Pipe Dream", "--domain", "crm")
    assert "pytest tests/connectors -k pipedream" in said
    page = (copy / "docs" / "connectors" / "pipedream.md").read_text()
    assert "`VITALS_PIPEDREAM_TOKEN`" in page
    assert "`crm.record_created`" in page
    tests = [f"tests/connectors/test_{name}.py" for name in ("conformance", "golden", "documentation")]
    passed = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert "skipped" not in passed
    assert int(passed.rpartition(" passed")[0].split()[-1]) > 40
    run(copy, "-m", "ruff", "check", "--no-cache", "connectors/pipedream")
    run(copy, "-m", "ruff", "format", "--no-cache", "--check", "connectors/pipedream")


def test_names_that_cannot_be_or_exist_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    for name in ("Pipe", "pipe-dream", "pipe_dream", "1pipe", "../x", ""):
        with pytest.raises(UserError, match="lower-case"):
            scaffold(name, None, "crm", tmp_path)
    with pytest.raises(UserError, match="choose a domain of"):
        scaffold("pipedream", None, "sales", tmp_path)
    with pytest.raises(UserError, match="exists already"):
        scaffold("zendesk", None, "support", tmp_path)
    scaffold("pipedream", None, "crm", tmp_path / "connectors")
    with pytest.raises(UserError, match="exists already"):
        scaffold("pipedream", None, "crm", tmp_path / "connectors")
    assert [path.name for path in tmp_path.iterdir()] == ["connectors"]
