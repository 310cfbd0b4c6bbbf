"""How busy the machine is while it trains, under MLflow's own names, so that its page of system metrics shows them."""

from __future__ import annotations

import time
from typing import Any

__all__ = ["SystemMetrics"]

EVERY_S = 10.0


class SystemMetrics:
    """Processor, memory, disk, network, and a GPU where there is one, read by MLflow's monitors every 10 s.

    Not by MLflow's thread: that one sends by itself, and gives up at the first outage.
    """

    def __init__(self) -> None:
        self._monitors: list[Any] | None = None
        self._next = 0.0
        self._samples = 0

    def due(self) -> list[tuple[str, float, int]]:
        """(name, value, number of the sample); empty where the last one is younger than 10 s."""
        if time.monotonic() < self._next:
            return []
        self._next = time.monotonic() + EVERY_S
        if self._monitors is None:
            self._monitors = _monitors()
        found = []
        for monitor in self._monitors:
            monitor.collect_metrics()
            found += [
                (f"system/{name}", float(value), self._samples) for name, value in monitor.aggregate_metrics().items()
            ]
            monitor.clear_metrics()
        self._samples += 1
        return found


def _monitors() -> list[Any]:
    # Imported here: MLflow takes seconds.
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    found = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    try:
        found.append(GPUMonitor())
    # Without NVIDIA's library, or without a GPU that it finds, there is nothing to read.
    except (ImportError, RuntimeError):
        pass
    return found
