"""Account health: a versioned model turns day metrics into an explainable score a tick. docs/health.md has the formula.

Pure functions on numpy arrays, no I/O. Everything is exact or a fixed sequence of float64 operations, so that an
independent program arrives at the same integers.
"""
