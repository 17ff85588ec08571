"""Runs a job in Spark's own environment: its plan comes as JSON on standard input, its summary goes out as one line."""

import importlib
import json
import sys
import traceback

from py4j.protocol import Py4JJavaError


def reason(error: Exception) -> str:
    """One line that says what went wrong: of an error that Java raised, what it came from in the end."""
    text = str(error)
    if isinstance(error, Py4JJavaError):
        cause = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        text = str(cause.toString())
    return (text.strip().splitlines() or [type(error).__name__])[0]


def main(job: str) -> int:
    """Exit status. The last line on standard output is the summary, or says what went wrong."""
    try:
        answer = json.dumps(importlib.import_module(job).run(json.load(sys.stdin)))
    except Exception as error:  # noqa: BLE001  # Spark raises many kinds; its log, which this goes to, has the rest
        traceback.print_exc()
        sys.stdout.write(json.dumps({"error": reason(error)}) + "\n")
        return 1
    sys.stdout.write(answer + "\n")
    return 0
