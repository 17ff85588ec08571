"""What the store holds against what an independent script makes of the file alone."""

import importlib.util
import random
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from connectors.simulation.git_usage import load
from tests.faults.pipeline import Pipeline
from vitals.events import account_id

INDEPENDENT = Path(__file__).resolve().parents[1] / "independent"
MODEL = Path(__file__).resolve().parents[2] / "models" / "health" / "2026-11.yaml"

METRICS = ("product.active_users", "support.resolution_seconds", "billing.seats")
MICRO = 1_000_000


def independent_script() -> ModuleType:
    """`tests/independent/scores_from_csv.py`, which imports nothing of Vitals."""
    spec = importlib.util.spec_from_file_location("scores_from_csv", INDEPENDENT / "scores_from_csv.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def account_ids(data: Path) -> dict[str, str]:
    """Account id by the file's label."""
    return {account.external_id: account_id(f"crm:account:{account.crm_id}") for account in load(data).accounts}


def declared_counts(script: ModuleType, data: Path) -> dict[str, int]:
    """What the file says, by kind: it is read here without any part of Vitals."""
    path = data / "git_usage" / "events.csv.gz"
    rows = script.rows_of(path)
    unzipped = subprocess.run(["zcat", str(path)], check=True, capture_output=True, text=True).stdout.splitlines()
    return {
        "product.feature_used": len(rows),
        "quarantined": len(unzipped) - 1 - len(rows),
        "support.ticket_opened": len({row["change_id"] for row in rows}),
        "support.ticket_solved": len({row["change_id"] for row in rows}),
        "crm.account_created": len({row["account"] for row in rows}),
    }


def recomputed_scores(
    run: Pipeline, script: ModuleType, data: Path, ticks: list[date], accounts: int, until: datetime
) -> list[tuple[Any, Any]]:
    """(stored, recomputed) score and contributions of random accounts at every tick that they have."""
    rows = script.rows_of(data / "git_usage" / "events.csv.gz")
    ids = account_ids(data)
    model = yaml.safe_load(MODEL.read_text())
    pairs: list[tuple[Any, Any]] = []
    for label in random.Random(11).sample(sorted(ids), accounts):
        windows = script.windows_of(rows, label, until)
        for tick in ticks:
            stored = run.query(
                "SELECT score, band, trend, coverage, contributions, signal_values FROM health_scores "
                f"WHERE account_id = '{ids[label]}' AND tick = '{tick}T00:00:00Z'"
            )
            scored = script.score_at(model, windows, (tick - date(1970, 1, 1)).days)
            fields = ("score", "band", "trend", "coverage", "contributions", "signal_values")
            expected = [] if scored is None else [tuple(scored[field] for field in fields)]
            pairs.append((stored, expected))
    return pairs


def recomputed_metrics(run: Pipeline, script: ModuleType, data: Path, until: datetime) -> dict[str, tuple[Any, Any]]:
    """(stored, recomputed) values of three metrics, every account and day."""
    rows = script.rows_of(data / "git_usage" / "events.csv.gz")
    ids = account_ids(data)
    expected: dict[str, dict[tuple[str, int], int]] = {metric: {} for metric in METRICS}
    for label, account in ids.items():
        windows = script.windows_of(rows, label, until)
        for metric in METRICS:
            expected[metric].update({(account, day): value for day, value in windows.get(metric, {}).items()})
    outcome = {}
    for metric in METRICS:
        stored = {
            (str(account), (window_start - datetime(1970, 1, 1, tzinfo=UTC)).days): int(value * MICRO)
            for account, window_start, value in run.query(
                f"SELECT account_id, window_start, value FROM metric_values WHERE metric = '{metric}' AND grain = 'day'"
            )
        }
        outcome[metric] = (stored, expected[metric])
    return outcome
