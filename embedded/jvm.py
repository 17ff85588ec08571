"""How the embedded parts run on a Java virtual machine."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded.class_data import ClassData, class_data
from vitals.jars import JarCache
from vitals.java import Java

# The serial collector starts fastest and is the best one for small heaps on one or two cores.
COLLECTOR = "-XX:+UseSerialGC"


@dataclass(frozen=True)
class Jvm:
    """A Java to run parts on, and the cache of what they need.

    fast_start: compile once and lightly. It speeds up the start and costs throughput later, so it is for tests.
    """

    java: Java
    cache: JarCache
    fast_start: bool = False

    def command(
        self, name: str, class_path: Sequence[Path], heap_megabytes: int, *options: str
    ) -> tuple[tuple[str, ...], ClassData]:
        """The command up to the name of the main class, and the class data that this run uses or records."""
        shared = class_data(self.cache.folder / "classes", name, self.java, class_path, (COLLECTOR,))
        return (*self.plain_command(class_path, heap_megabytes, *options, *shared.options),), shared

    def plain_command(self, class_path: Sequence[Path], heap_megabytes: int, *options: str) -> tuple[str, ...]:
        """The same without class data, for short programs."""
        light = ("-XX:TieredStopAtLevel=1",) if self.fast_start else ()
        return (
            str(self.java.executable),
            f"-Xmx{heap_megabytes}m",
            COLLECTOR,
            "-XX:-UsePerfData",
            "-Djava.awt.headless=true",
            *light,
            *options,
            "-cp",
            os.pathsep.join(str(path) for path in class_path),
        )
