"""Flink SQL with a tumbling window, twice in one JVM: cold, then warm. Runs in the environment of Flink.

Arguments as JSON: bootstrap, registry, topic, ends, jars, runs ([{name, sink}]), deduplicated, python_function.
"""

import json
import sys
import time

from pyflink.common import Configuration
from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf

EVENTS = """
CREATE TABLE events (
    event_id STRING, account_id STRING, user_id STRING, kind STRING, event_time BIGINT, `value` DECIMAL(38, 6),
    happened AS TO_TIMESTAMP_LTZ(event_time / 1000, 3), arrived AS PROCTIME(),
    WATERMARK FOR happened AS happened - INTERVAL '6' MINUTE
) WITH (
    'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{bootstrap}',
    'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',
    'value.format' = 'avro-confluent', 'value.avro-confluent.url' = '{registry}'
)
"""
FIRST_OF_EACH = """
CREATE TEMPORARY VIEW counted AS SELECT * FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY arrived ASC) AS place FROM events
) WHERE place = 1
"""
EVERY_ONE = "CREATE TEMPORARY VIEW counted AS SELECT * FROM events"
SINK = """
CREATE TABLE `{sink}` (
    account_id STRING, start_micros BIGINT, events BIGINT, feature BIGINT, tracked BIGINT, without_value BIGINT,
    total DECIMAL(38, 6), users BIGINT
) WITH (
    'connector' = 'kafka', 'topic' = '{sink}', 'properties.bootstrap.servers' = '{bootstrap}',
    'value.format' = 'json', 'value.json.encode.decimal-as-plain-number' = 'true'
)
"""
JOB = """
INSERT INTO `{sink}`
SELECT account_id, TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', window_start) * CAST(1000000 AS BIGINT),
    COUNT(*), COUNT(*) FILTER (WHERE {kind} = 'product.feature_used'),
    COUNT(*) FILTER (WHERE {kind} = 'product.event_tracked'), COUNT(*) FILTER (WHERE `value` IS NULL),
    SUM(`value`), COUNT(DISTINCT user_id)
FROM TABLE(TUMBLE(TABLE {source}, DESCRIPTOR(happened), INTERVAL '1' MINUTE))
GROUP BY account_id, window_start, window_end
"""
OF_PYTHON = "CREATE TEMPORARY VIEW known AS SELECT *, known_kind(kind) AS known_kind FROM counted"


@udf(result_type=DataTypes.STRING())
def known_kind(kind: str) -> str:
    """What a person would write in Python: which of the kinds that count it is."""
    return kind if kind in ("product.feature_used", "product.event_tracked") else "other"


def main() -> None:
    """Runs the job as often as asked for."""
    given = json.loads(sys.argv[1])
    configuration = Configuration()
    configuration.set_string("pipeline.jars", ";".join(f"file://{jar}" for jar in given["jars"]))
    configuration.set_string("parallelism.default", "1")
    configuration.set_string("pipeline.object-reuse", "true")
    configuration.set_string("table.local-time-zone", "UTC")
    configuration.set_string("python.executable", sys.executable)
    configuration.set_string("python.client.executable", sys.executable)
    settings = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    tables = TableEnvironment.create(settings)
    tables.execute_sql(EVENTS.format(**given))
    tables.execute_sql(FIRST_OF_EACH if given["deduplicated"] else EVERY_ONE)
    if given["python_function"]:
        tables.create_temporary_system_function("known_kind", known_kind)
        tables.execute_sql(OF_PYTHON)
    columns = (
        {"source": "known", "kind": "known_kind"} if given["python_function"] else {"source": "counted", "kind": "kind"}
    )
    for number, run in enumerate(given["runs"]):
        tables.execute_sql(SINK.format(**given, **run))
        began = time.time()
        submitted = tables.execute_sql(JOB.format(**run, **columns))
        client = submitted.get_job_client()
        # A warm job is one on a cluster that stands; PyFlink starts a small one for each job.
        # PyFlink's own JobStatus lacks the first of the two.
        while number and client._j_job_client.getJobStatus().get().name() in ("INITIALIZING", "CREATED"):
            began = time.time()
            time.sleep(0.02)
        submitted.wait()
        report = {"name": run["name"], "began": began, "ended": time.time(), "events": sum(given["ends"])}
        print("@", json.dumps(report), flush=True)
        time.sleep(0.3)


if __name__ == "__main__":
    main()
