"""Dagster assets and checks by stage: thin, no algorithm."""
