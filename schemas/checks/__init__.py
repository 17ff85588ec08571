"""Data quality checks: one a YAML file, discovered. docs/quality.md."""
