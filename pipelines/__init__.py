"""The Dagster code location: definitions, partitions, resources, jobs."""
