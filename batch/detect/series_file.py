"""Runs the detector over a CSV file in a stream: a row out for every row in, in constant memory."""

import csv
import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TextIO

import numpy as np

from analytics.detection import layout
from analytics.detection.detector import Detector
from batch.series.timestamps import micros_of
from vitals.errors import UserError

COLUMNS = ("timestamp", "value", "anomaly_score", "expected", "lower", "upper", "kind")
ROWS_A_CHUNK = 2_000

_NO_VALUE = frozenset({"", "na", "nan", "null", "none"})


def detect_file(source: TextIO, target: TextIO, timestamp_column: str, value_column: str) -> Iterator[tuple[int, int]]:
    """Copies timestamp and value of every row with what the detector says; yields rows and anomalies of each chunk.

    A row's score depends on rows before it only. A row without a value is answered with a score of 0.

    Raises:
        UserError: no such column, or a cell that is no timestamp or number; the message names the line.
    """
    reader = csv.reader(source)
    header = next(reader, None)
    if header is None:
        raise UserError("The file is empty: it needs a line of column names.")
    names = [name.strip().lstrip("\ufeff") for name in header]
    places = [_place(names, name, option) for name, option in
              ((timestamp_column, "--timestamp-column"), (value_column, "--value-column"))]  # fmt: skip
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    detector = Detector()
    rows = _cells(reader, places)
    while chunk := list(islice(rows, ROWS_A_CHUNK)):
        times = np.array([each[2] for each in chunk])
        answers = detector.follow(times, np.array([each[3] for each in chunk]))
        writer.writerows(
            [stamp, value, *_told(answer)] for (stamp, value, _, _), answer in zip(chunk, answers, strict=True)
        )
        yield len(chunk), int((answers[:, layout.KIND] > 0).sum())


def _place(names: list[str], wanted: str, option: str) -> int:
    if wanted not in names:
        raise UserError(f"There is no column {wanted}: the file has {', '.join(names)}. Name it with {option}.")
    return names.index(wanted)


def _cells(reader: Any, places: list[int]) -> Iterator[tuple[str, str, float, float]]:
    for row in reader:
        if not row:
            continue
        if len(row) <= max(places):
            raise UserError(f"Line {reader.line_num} has {len(row)} cells only.")
        stamp, value = row[places[0]], row[places[1]]
        try:
            time = micros_of(stamp)
        except ValueError:
            raise UserError(
                f"Line {reader.line_num}: {stamp!r} is no timestamp, such as 2026-11-01T09:00:00Z or 1793523600."
            ) from None
        yield stamp, value, time, _number(value, reader.line_num)


def _number(text: str, line: int) -> float:
    if text.strip().lower() in _NO_VALUE:
        return math.nan
    try:
        number = float(text)
    except ValueError:
        raise UserError(f"Line {line}: {text!r} is no number.") from None
    return number if math.isfinite(number) else math.nan


def _told(answer: Iterable[float]) -> list[str]:
    cells = list(answer)
    score, *band = cells[: layout.UPPER + 1]
    return [f"{score:.6f}", *(f"{number:.10g}" for number in band), layout.KINDS[int(cells[layout.KIND])]]
