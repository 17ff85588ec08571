"""Profiles, metric values, health scores and counts into PostgreSQL or TimescaleDB."""
