"""What `vitals up` asks the simulators to serve."""

from pathlib import Path

import pytest

from embedded.service_spec import ServiceSpec
from embedded.services import UpOptions, services
from vitals.errors import UserError


def simulators(options: UpOptions) -> ServiceSpec:
    return next(one for one in services(options) if one.name == "simulators")


def test_the_company_has_as_many_accounts_as_asked_for() -> None:
    argv = simulators(UpOptions(accounts=2_000)).argv
    assert argv[argv.index("--accounts") + 1] == "2000"
    assert "--world" in argv
    usual = simulators(UpOptions()).argv
    assert usual[usual.index("--accounts") + 1] == "300"


def test_real_data_has_the_accounts_that_it_has(data_dir: Path) -> None:
    with pytest.raises(UserError, match="--accounts"):
        services(UpOptions(data=data_dir, accounts=50))
    argv = simulators(UpOptions(data=data_dir)).argv
    assert "--data" in argv
    assert "--accounts" not in argv
