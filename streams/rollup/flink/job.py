"""Executes a plan by the PyFlink Table API. Run by Flink's own Python, so it imports nothing of Vitals.

    python job.py --plan plan.json --jars a.jar;b.jar            on a local mini-cluster, until SIGTERM
    python job.py --plan plan.json --jobmanager host:8081 …      submits it to a cluster and ends
    flink run -py job.py --plan plan.json                        the same from Flink's client

Says how it goes on standard output, one JSON object a line. SIGTERM and SIGINT stop the job with a savepoint.
"""

import argparse
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLAN_FORMAT = 1
POLL_SECONDS = 0.5


def say(state: str, **more: Any) -> None:
    """Tells whoever started this job."""
    sys.stdout.write(json.dumps({"state": state} | more) + "\n")
    sys.stdout.flush()


def filled_in(statement: str, substitutions: Mapping[str, str]) -> str:
    """The statement with every `{{NAME}}` replaced; each lies within an SQL string."""
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: substitutions[mark[1]].replace("'", "''"), statement)


def quoted(text: str) -> str:
    """For the inside of a JAAS string."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def substitutions(plan: Mapping[str, Any]) -> dict[str, str]:
    """What goes in the place of each `{{NAME}}`."""
    password = quoted(os.environ.get("VITALS_KAFKA_PASSWORD", ""))
    username = quoted(plan["substitutions"]["KAFKA_USERNAME"])
    return {**plan["substitutions"], "KAFKA_USERNAME": username, "KAFKA_PASSWORD": password}


def configuration(plan: Mapping[str, Any], arguments: argparse.Namespace) -> dict[str, str]:
    """Flink's settings for this run: the plan's, and where things are."""
    settings = dict(plan["configuration"])
    if arguments.jars:
        settings["pipeline.jars"] = ";".join(Path(jar).absolute().as_uri() for jar in arguments.jars.split(";"))
    if arguments.checkpoints:
        settings["execution.checkpointing.dir"] = f"{arguments.checkpoints}/checkpoints"
        settings["execution.checkpointing.savepoint-dir"] = f"{arguments.checkpoints}/savepoints"
    if arguments.restore:
        settings["execution.state-recovery.path"] = arguments.restore
    if arguments.jobmanager:
        host, _, port = arguments.jobmanager.rpartition(":")
        settings |= {"execution.target": "remote", "rest.address": host, "rest.port": port}
    return settings


def submit(plan: Mapping[str, Any], settings: Mapping[str, str]) -> Any:
    """Starts the job; returns its client."""
    # Here, so that Vitals' own tests can load this file.
    from pyflink.common import Configuration
    from pyflink.table import EnvironmentSettings, TableEnvironment

    chosen = Configuration()
    for name, text in settings.items():
        chosen.set_string(name, text)
    environment = TableEnvironment.create(
        EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(chosen).build()
    )
    texts = substitutions(plan)
    for statement in plan["tables"]:
        environment.execute_sql(filled_in(statement, texts))
    statements = environment.create_statement_set()
    for statement in plan["inserts"]:
        statements.add_insert_sql(filled_in(statement, texts))
    return statements.execute().get_job_client()


def follow(client: Any, stopping: threading.Event, savepoints: str | None) -> int:
    """Waits until the job ends, or stops it with a savepoint once `stopping` is set. Returns the exit status."""
    ended = client.get_job_execution_result()
    running = False
    while not ended.done():
        if not running and is_running(client):
            running = True
            say("running")
        if stopping.wait(POLL_SECONDS):
            return stop(client, savepoints)
    try:
        ended.result()
    except Exception as error:  # noqa: BLE001 - whatever Java raised
        say("failed", cause=causes(error))
        return 1
    say("finished")
    return 0


def is_running(client: Any) -> bool:
    """Whether all tasks run; False as well once the cluster is gone, which ends with its job."""
    try:
        return bool(client.get_job_status().result().name == "RUNNING")
    except Exception:  # noqa: BLE001 - the job's own result tells what happened
        return False


def stop(client: Any, savepoints: str | None) -> int:
    """Ends the job in good order: everything read so far is in the result and in the savepoint."""
    try:
        if savepoints is None:
            raise ValueError("no folder for a savepoint was given")
        path = stopped_with_savepoint(client, savepoints)
    except Exception as error:  # noqa: BLE001 - whatever Java raised: the newest checkpoint still holds
        say("canceled", cause=causes(error))
        client.cancel().result()
        return 0
    say("stopped", savepoint=path)
    return 0


def stopped_with_savepoint(client: Any, folder: str) -> str:
    """Stops the job; returns the savepoint's URI. PyFlink 2.2 calls a method for it that Flink 2 no longer has."""
    from pyflink.java_gateway import get_gateway

    formats = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType
    return str(client._j_job_client.stopWithSavepoint(False, folder, formats.NATIVE).get())


def causes(error: Exception) -> str:
    """The innermost causes of a Java exception in one line, the first of them last."""
    told = [
        line.removeprefix("Caused by: ").strip() for line in str(error).splitlines() if line.startswith("Caused by: ")
    ]
    return " <- ".join(told[-3:]) or str(error).strip().partition("\n")[0]


def end_with_parent() -> None:
    """Ends this process, and Java with it, when whoever started it is gone: the job must not go on unsupervised."""
    while sys.stdin.read(1):
        pass
    os._exit(1)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Runs the rollup's plan as a Flink job.")
    parser.add_argument(
        "--plan", required=True, type=Path, help="File made by `vitals rollup --engine flink --plan-only`."
    )
    parser.add_argument(
        "--jars", default="", help="Connector jars, semicolon separated; not needed in Flink's lib folder."
    )
    parser.add_argument("--checkpoints", default="", help="URI of the folder for checkpoints and savepoints.")
    parser.add_argument("--restore", default="", help="URI of the checkpoint or savepoint to go on from.")
    parser.add_argument("--jobmanager", default="", help="host:port of a cluster's REST address; submits and ends.")
    parser.add_argument(
        "--submit-only", action="store_true", help="Submit and end, with the cluster that Flink's client knows."
    )
    parser.add_argument("--supervised", action="store_true", help="End at once when standard input closes.")
    return parser.parse_args(arguments)


def main() -> int:
    """Exit status 0 where the job finished or was stopped."""
    arguments = parse(sys.argv[1:])
    plan = json.loads(arguments.plan.read_text())
    if plan["format"] != PLAN_FORMAT:
        say("failed", cause=f"this job reads plans of format {PLAN_FORMAT}, not {plan['format']}")
        return 1
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    if arguments.supervised:
        threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        client = submit(plan, configuration(plan, arguments))
    except Exception as error:  # noqa: BLE001 - whatever Java raised
        say("failed", cause=causes(error))
        return 1
    say("submitted", job=str(client.get_job_id()))
    if arguments.jobmanager or arguments.submit_only:
        return 0
    return follow(client, stopping, f"{arguments.checkpoints}/savepoints" if arguments.checkpoints else None)


if __name__ == "__main__":
    sys.exit(main())
