"""The made-up projects that the simulated Amplitude knows. Their keys open nothing but a simulator."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Project:
    """A project lives in one region only."""

    project_id: int
    api_key: str
    secret_key: str


PROJECTS: Mapping[str, Project] = {
    "us": Project(187520, "amplitude-demo-us", "amp-secret-demo-us"),
    "eu": Project(187521, "amplitude-demo-eu", "amp-secret-demo-eu"),
}
REGION_PATHS: Mapping[str, str] = {"us": "", "eu": "/eu"}
"""Where a region's host is, below the simulator's mount point."""
