"""Batch: the catalogue over a whole range of the log at once, on Spark."""
