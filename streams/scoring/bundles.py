"""Scored rows as `HealthScoresBundle` records. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.health.day_values import Ints, Mask
from analytics.health.scores import STATUSES, TRENDS, TickScores
from streams.scoring.instants import midnight_micros
from streams.scoring.scorer import PartitionScorer, ScoredChunk

ROWS_A_BUNDLE = 3_000
"""A row takes about 150 B in Avro: a bundle stays under 512 KB."""

ACCOUNTS_A_BUNDLE = 500

Record = dict[str, Any]

_STATUS_NAMES = np.array(STATUSES, dtype=object)


def bundle_record(
    scorer: PartitionScorer, partition: int, live: bool, accounts: list[Record], written_at: datetime
) -> Record:
    """One record with the partition's position, watermark and freshness."""
    state = scorer.state
    return {
        "model": scorer.model.version,
        "partition": partition,
        "position": scorer.position,
        "live": live,
        "watermark": state.watermark,
        "sealed_through": state.sealed_through,
        "newest_ingested_at": state.newest_ingested_at,
        "accounts": accounts,
        "written_at": written_at,
    }


def account_groups(chunk: ScoredChunk, scorer: PartitionScorer) -> Iterator[list[Record]]:
    """The due rows of a chunk as `AccountScores` records, in groups that fit one bundle.

    An account with more ticks than fit is cut by ticks.
    """
    group: list[Record] = []
    size = 0
    account_ids, segment_names = scorer.state.arrays.account_ids, scorer.model.segment_names
    for index, row in enumerate(chunk.rows.tolist()):
        scores = _rows(chunk.scores, index, np.flatnonzero(chunk.due[index]), segment_names)
        for start in range(0, len(scores), ROWS_A_BUNDLE):
            part = scores[start : start + ROWS_A_BUNDLE]
            if group and (size + len(part) > ROWS_A_BUNDLE or len(group) >= ACCOUNTS_A_BUNDLE):
                yield group
                group, size = [], 0
            group.append({"account_id": account_ids[row], "scores": part})
            size += len(part)
    if group:
        yield group


def _rows(scores: TickScores, index: int, columns: Ints, segment_names: Sequence[str]) -> list[Record]:
    """`HealthScore` records of one account at some columns."""
    applies = scores.applies[:, index, columns].T
    contributions = _nullable(scores.contributions[:, index, columns].T, applies)
    values = _nullable(scores.values[:, index, columns].T, applies)
    score = _nullable(scores.score[index, columns], scores.scored[index, columns])
    return [
        {
            "tick": midnight_micros(scores.first_tick + column),
            "score": points,
            "band": scores.band_names[band],
            "trend": TRENDS[trend],
            "coverage": coverage,
            "contributions": parts,
            "signal_values": signal_values,
            "adjustment": adjustment,
            "segment": segment_names[segment],
            "statuses": statuses,
        }
        for column, points, band, trend, coverage, parts, signal_values, adjustment, segment, statuses in zip(
            columns.tolist(),
            score,
            scores.band[index, columns].tolist(),
            scores.trend[index, columns].tolist(),
            scores.coverage[index, columns].tolist(),
            contributions,
            values,
            scores.adjustment[index, columns].tolist(),
            scores.segment[index, columns].tolist(),
            _STATUS_NAMES[scores.status[:, index, columns].T].tolist(),
            strict=True,
        )
    ]


def _nullable(values: NDArray[Any], known: Mask) -> list[Any]:
    """As plain numbers, None where not known."""
    objects = values.astype(object)
    objects[~known] = None
    plain: list[Any] = objects.tolist()
    return plain
