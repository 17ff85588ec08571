"""`make verify`: runs the long suite and writes its report to docs/verification/report.md.

    python -m tests.verify [pytest arguments]

A slow test records what it measured through the fixture `facts`; the report says what was run, on what, and how it
ended. Run with arguments, such as `-k memory`, it replaces the lines of the tests that it ran; every line says of which
commit it is.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import psutil

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "verification" / "report.md"


def main() -> int:
    """Exit code of pytest; the report is written either way."""
    with tempfile.TemporaryDirectory() as folder:
        facts, results = Path(folder) / "facts.jsonl", Path(folder) / "results.xml"
        began = time.monotonic()
        outcome = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "slow", "-v", f"--junitxml={results}", *sys.argv[1:]],
            cwd=ROOT,
            env=os.environ | {"VITALS_VERIFY_FACTS": str(facts), "CI": "true"},
            check=False,
        )
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        kept = REPORT.read_text().splitlines() if sys.argv[1:] and REPORT.exists() else []
        REPORT.write_text(report(results, facts, time.monotonic() - began, kept))
    print(f"Report: {REPORT.relative_to(ROOT)}")
    return outcome.returncode


def report(results: Path, facts: Path, seconds: float, kept: list[str]) -> str:
    """The report as Markdown. `kept`: lines of an earlier report, of which those of other tests and figures stay."""
    commit = _output("git", "rev-parse", "--short", "HEAD")
    if _output("git", "status", "--porcelain", "--untracked-files=no"):
        commit += " with uncommitted changes"
    tests = {line.split(" | ")[0]: line for line in kept if line.startswith("| test_")}
    for case in ElementTree.parse(results).getroot().iter("testcase"):
        ended = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        name = f"| {case.get('name')}"
        tests[name] = f"{name} | {ended} | {float(case.get('time', 0)):.0f} | {commit} |"
    figures = {line.partition("**: ")[0]: line for line in kept if line.startswith("- **")}
    for line in facts.read_text().splitlines() if facts.exists() else []:
        fact = json.loads(line)
        figures[f"- **{fact['what']}"] = f"- **{fact['what']}**: {fact['figure']}"
    return "\n".join(
        [
            "# Verification report",
            "",
            "Written by `make verify`; do not edit.",
            "",
            f"- when: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds:.0f} s",
            f"- machine: {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
            f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "",
            "## Tests",
            "",
            "| test | result | seconds | commit |",
            "| --- | --- | --- | --- |",
            *tests.values(),
            "",
            "## Figures",
            "",
            *figures.values(),
            "",
        ]
    )


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
