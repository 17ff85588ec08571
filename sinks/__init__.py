"""Sinks: what the streams publish, written to stores that answer questions."""
