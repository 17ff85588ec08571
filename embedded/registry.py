"""Apicurio Registry as the schema registry, behind its Confluent-compatible API, storing in the embedded PostgreSQL."""

import json
import urllib.request
from collections.abc import Mapping

from embedded import postgres
from embedded.jvm import Jvm
from embedded.parts import Part
from embedded.probes import HttpProbe
from embedded.state_folder import StateFolder
from vitals.errors import RetriableError

NAME = "registry"
HEAP_MEGABYTES = 384
MAIN_CLASS = "io.quarkus.bootstrap.runner.QuarkusEntryPoint"
PORT_NAMES = ("registry", "registry-management")
COMPATIBILITY = "BACKWARD_TRANSITIVE"
"""The global rule. The registry's own default accepts any schema after any other."""


def registry_url(port: int) -> str:
    """Base address for Confluent-compatible clients."""
    return f"http://127.0.0.1:{port}/apis/ccompat/v7"


def build(state: StateFolder, jvm: Jvm, ports: Mapping[str, int]) -> Part:
    """The registry on `ports["registry"]`; its schemas live in the database `registry`."""
    home = state.path / "registry"
    home.mkdir(exist_ok=True)
    main_jar = jvm.cache.unpacked("registry") / "quarkus-run.jar"
    command, class_data = jvm.command(NAME, [main_jar], HEAP_MEGABYTES)
    url = registry_url(ports["registry"])
    return Part(
        name=NAME,
        kind="infrastructure",
        argv=(*command, MAIN_CLASS),
        cwd=home,
        log_path=state.log_file(NAME),
        env={
            "QUARKUS_HTTP_HOST": "127.0.0.1",
            "QUARKUS_HTTP_PORT": str(ports["registry"]),
            # Left alone, the management interface listens on every address.
            "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
            "QUARKUS_MANAGEMENT_PORT": str(ports["registry-management"]),
            "QUARKUS_HTTP_ACCESS_LOG_ENABLED": "false",
            "APICURIO_STORAGE_KIND": "sql",
            "APICURIO_STORAGE_SQL_KIND": "postgresql",
            "APICURIO_DATASOURCE_URL": f"jdbc:postgresql://127.0.0.1:{ports['postgres']}/{postgres.REGISTRY_DATABASE}",
            "APICURIO_DATASOURCE_USERNAME": postgres.REGISTRY_ROLE,
            "APICURIO_DATASOURCE_PASSWORD": state.secret("registry-password"),
        },
        probe=HttpProbe(f"{url}/subjects"),
        port=ports["registry"],
        depends_on=(postgres.NAME,),
        provision=lambda: set_compatibility(url),
        after_stop=class_data.keep,
        stop_timeout_seconds=15,
    )


def set_compatibility(url: str, level: str = COMPATIBILITY) -> None:
    """Sets the global compatibility level of the registry at `url`. Raises RetriableError when that fails."""
    request = urllib.request.Request(  # noqa: S310  # a fixed http address on the loopback interface
        f"{url}/config",
        data=json.dumps({"compatibility": level}).encode(),
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        method="PUT",
    )
    try:
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310  # as above
            pass
    except OSError as error:
        raise RetriableError(f"the compatibility rule could not be set: {error}") from error
