"""The rollup as a Flink job: the metric catalogue as Flink SQL, run by the PyFlink Table API.

Vitals compiles the catalogue to a plan (`plan.py`, plain text); `job.py` executes a plan with Flink's own Python, on a
local mini-cluster or on a Flink cluster; `process.py` runs that script as `vitals rollup --engine flink`.
"""
