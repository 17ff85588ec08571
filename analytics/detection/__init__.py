"""The streaming anomaly detector: one pass, constant memory, one set of defaults for all data. docs/anomalies.md.

Pure and compiled: the same step serves one series of a file and thousands of series that step together in a stream.
"""
