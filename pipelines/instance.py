"""The Dagster instance of a workspace: storage under `$MAGICTALK_HOME/dagster`, telemetry off, pools limited."""

from __future__ import annotations

import dagster as dg

from magictalk_core.lineage.atomic import write_text
from magictalk_core.workspace import Workspace

__all__ = ["DAGSTER_YAML", "open_instance"]

DAGSTER_YAML = """\
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  pools:
    granularity: op
    default_limit: 1
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 120
python_logs:
  managed_python_loggers: [magictalk]
  python_log_level: INFO
"""


def open_instance(workspace: Workspace) -> dg.DagsterInstance:
    """The instance, its folder and `dagster.yaml` made on first use; `DAGSTER_HOME` for `dagster dev` is the same."""
    workspace.dagster.mkdir(parents=True, exist_ok=True)
    config = workspace.dagster / "dagster.yaml"
    if not config.is_file():
        write_text(config, DAGSTER_YAML)
    return dg.DagsterInstance.from_config(str(workspace.dagster))
