"""python -m vitals."""

from vitals.cli import main

main()
