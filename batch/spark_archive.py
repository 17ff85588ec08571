"""What of Vitals goes into Spark's environment: the jobs, and the pure functions that they share with the stream."""

import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

JOBS = ("__init__", "spark_main", "rollup_job", "scores_job")
PURE = ("analytics/__init__.py", "analytics/health/*.py")

MAIN = "import sys\nfrom batch.spark_main import main\nsys.exit(main(sys.argv[1]))\n"


def write_archive(path: Path) -> None:
    """Writes an archive that Python runs, with a job's module as its argument, and that Spark gives to its workers."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__main__.py", MAIN)
        for name in JOBS:
            archive.write(ROOT / "batch" / f"{name}.py", f"batch/{name}.py")
        for pattern in PURE:
            for file in sorted(ROOT.glob(pattern)):
                archive.write(file, str(file.relative_to(ROOT)))
