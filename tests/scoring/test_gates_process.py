"""Gates of data quality and `vitals scoring` as a process: what a killed one knew, the next one knows."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from embedded.endpoints import Endpoints
from embedded.stack import Stack
from models.loader import read_model
from schemas import bootstrap as topics_bootstrap
from sinks.timescale import bootstrap as tables_bootstrap
from tests.conftest import settings_for
from tests.scoring.logs import ORIGIN, Published, at_once, day_by_day, run, scorer_of, world
from tests.scoring.process import ScoringLog, VitalsProcess, until
from tests.scoring.test_gates import gate, told
from vitals.avro import AvroSerde, Registry

MODEL = read_model()
DAYS = 400
LAST = ORIGIN + DAYS


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """A stack of its own: scoring reads every partition of topics whose names are fixed."""
    stack = Stack(tmp_path_factory.mktemp("gates"))
    with stack.infrastructure(only=("kafka", "registry", "postgres")) as endpoints:
        settings = settings_for(endpoints, endpoints.state_dir)
        topics_bootstrap.bootstrap(settings)
        tables_bootstrap.bootstrap(settings)
        yield endpoints


@pytest.mark.timeout(240)
def test_gates_are_known_after_a_kill_from_the_store_and_from_the_log(endpoints: Endpoints, tmp_path: Path) -> None:
    """The sink stops in between: a rebuild finds some steps in PostgreSQL, the others in the log alone."""
    accounts = world(MODEL, 31, 4, DAYS)
    steps = [told(gate(LAST - 30, True)), told(gate(LAST - 20, False)), told(gate(LAST - 5, True))]
    bundles = day_by_day(accounts, LAST - 40, LAST, seed=3)
    half = len(bundles) // 2
    expected = run(scorer_of(MODEL), [*at_once(accounts, LAST), *steps], Published())
    settings = settings_for(endpoints, tmp_path)
    log = ScoringLog(settings, AvroSerde(Registry(settings.registry_url)), 6)
    with VitalsProcess(endpoints, tmp_path, "sink", "timescale"):
        log.send([steps[0], *bundles[:half], steps[1]])
        with psycopg.connect(endpoints.postgres_dsn, autocommit=True) as connection:
            query = "select count(*) from quality_gates where partition = 6"
            until(lambda: connection.execute(query).fetchone() == (2,), "the sink has the first steps")
    scoring = VitalsProcess(endpoints, tmp_path, "scoring")
    log.send([steps[2], *bundles[half:]])
    until(lambda: bool(log.read().history), "some of it is scored")
    scoring.kill()
    with VitalsProcess(endpoints, tmp_path, "scoring"):
        log.wait_scored("all is scored")
        assert log.read().history == expected.history
        assert log.read().live == expected.live
