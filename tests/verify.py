"""`make verify`: runs the long suite and writes its report to docs/verification/report.md.

    python -m tests.verify [pytest arguments]

A slow test records what it measured through the fixture `facts`; the report says what was run, on what, and how it
ended.
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
        REPORT.write_text(report(results, facts, time.monotonic() - began))
    print(f"Report: {REPORT.relative_to(ROOT)}")
    return outcome.returncode


def report(results: Path, facts: Path, seconds: float) -> str:
    """The report as Markdown."""
    lines = [
        "# Verification report",
        "",
        "Written by `make verify`; do not edit.",
        "",
        f"- when: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds:.0f} s",
        f"- commit: {_output('git', 'rev-parse', '--short', 'HEAD')}"
        + (" with uncommitted changes" if _output("git", "status", "--porcelain", "--untracked-files=no") else ""),
        f"- machine: {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "",
        "## Tests",
        "",
        "| test | result | seconds |",
        "| --- | --- | --- |",
    ]
    for case in ElementTree.parse(results).getroot().iter("testcase"):
        ended = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        lines.append(f"| {case.get('name')} | {ended} | {float(case.get('time', 0)):.0f} |")
    lines += ["", "## Figures", ""]
    if facts.exists():
        for line in facts.read_text().splitlines():
            fact = json.loads(line)
            lines.append(f"- **{fact['what']}**: {fact['figure']}")
    return "\n".join(lines) + "\n"


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
