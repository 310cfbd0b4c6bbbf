"""Dagster and MLflow of a workspace as child processes on this machine's own address: started, watched, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from assets.links import FILES_ADDRESS, MLFLOW_ADDRESS
from magictalk_core.errors import MachineError, PermanentError, UserError
from magictalk_core.workspace import Workspace

__all__ = ["HOST", "Service", "running", "services_of", "wait_until_one_ends"]

HOST = "127.0.0.1"
"""Nobody else on the network may start jobs here: neither program asks for a password."""

RESULTS, MLFLOW = "Results", "MLflow"
_LINKS = {RESULTS: FILES_ADDRESS, MLFLOW: MLFLOW_ADDRESS}
"""Service -> the variable that tells jobs where a browser finds it."""

_START_S = 180.0
_STOP_S = 10.0
_LOOK_AGAIN_S = 0.5
_LINES_OF_LOG = 5


@dataclass(frozen=True)
class Service:
    """One program to run beside the others; `health` is the address that answers once it is ready."""

    name: str
    command: Sequence[str]
    address: str
    health: str
    log: Path


def _free_port(wanted: int, taken: set[int]) -> int:
    """`wanted`, or the next one that nobody listens on."""
    for port in range(wanted, wanted + 50):
        if port in taken:
            continue
        with socket.socket() as probe:
            # As the servers do: a port that was used a moment ago is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise UserError(f"no free port from {wanted} to {wanted + 49}: name another with --port and --mlflow-port")


def services_of(workspace: Workspace, port: int, mlflow_port: int) -> list[Service]:
    """Dagster's webserver and daemon, the results for its links, and MLflow where its records lie in this workspace."""
    port = _free_port(port, set())
    code = str(workspace.dagster / "workspace.yaml")
    dagster = Service(
        "Dagster",
        [sys.executable, "-m", "dagster", "dev", "-w", code, "-h", HOST, "-p", str(port)],
        f"http://{HOST}:{port}",
        f"http://{HOST}:{port}/server_info",
        workspace.logs / "ui-dagster.log",
    )
    results_port = _free_port(port + 1, {port, mlflow_port})
    results = Service(
        RESULTS,
        [sys.executable, "-m", "pipelines.results_server", str(workspace.home), str(results_port)],
        f"http://{HOST}:{results_port}",
        f"http://{HOST}:{results_port}/report/",
        workspace.logs / "ui-results.log",
    )
    if not workspace.mlflow_uri.startswith("sqlite:"):
        return [dagster, results]
    mlflow_port = _free_port(mlflow_port, {port, results_port})
    stores = ["--backend-store-uri", workspace.mlflow_uri]
    stores += ["--artifacts-destination", str(workspace.mlflow / "artifacts")]
    mlflow = Service(
        MLFLOW,
        [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            *stores,
            "--host",
            HOST,
            "--port",
            str(mlflow_port),
            "--workers",
            "1",
        ],
        f"http://{HOST}:{mlflow_port}",
        f"http://{HOST}:{mlflow_port}/health",
        workspace.logs / "ui-mlflow.log",
    )
    return [dagster, results, mlflow]


def environment_of(workspace: Workspace, services: Sequence[Service]) -> Mapping[str, str]:
    """What the programs need to know of the workspace and of each other; none of them reports home."""
    addresses = {service.name: service.address for service in services}
    links = {variable: addresses[name] for name, variable in _LINKS.items() if name in addresses}
    return (
        os.environ
        | links
        | {
            "DAGSTER_HOME": str(workspace.dagster),
            "MAGICTALK_HOME": str(workspace.home),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
        }
    )


@contextmanager
def running(
    services: Sequence[Service], environment: Mapping[str, str], on_ready: Callable[[Service], None] = lambda _: None
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """The services while the block lasts, each told of when it answers; all are stopped at its end.

    Raises `PermanentError` with the end of the log of one that does not start.
    """
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for service in services:
            started[service.name] = _start(service, environment)
        for service in services:
            _wait_until_it_answers(service, started[service.name])
            on_ready(service)
        yield started
    finally:
        _stop([process.pid for process in started.values()])
        for process in started.values():
            process.wait()


def _start(service: Service, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    service.log.parent.mkdir(parents=True, exist_ok=True)
    with service.log.open("wb") as log:
        # A group of its own: Ctrl-C is for us, who stop it in order with everything that it started.
        return subprocess.Popen(list(service.command), env=environment, stdout=log, stderr=log, start_new_session=True)


def _stop(groups: Sequence[int]) -> None:
    """Ask all groups to end, more firmly each time; returns when no process of theirs is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        left = [group for group in groups if _signalled(group, number)]
        end = time.monotonic() + _STOP_S
        while left and time.monotonic() < end:
            time.sleep(0.1)
            left = [group for group in left if _signalled(group, 0)]
        if not left:
            return


def _signalled(group: int, number: int) -> bool:
    """Whether somebody of the group is there to hear it; whoever has ended is no longer waited for."""
    with suppress(ChildProcessError):
        os.waitpid(group, os.WNOHANG)
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _wait_until_it_answers(service: Service, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise PermanentError(f"{service.name} ended at once: {_end_of(service.log)}; all of it: {service.log}")
        try:
            with urllib.request.urlopen(service.health, timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers, if only that there is nothing yet
        except (urllib.error.URLError, OSError):
            time.sleep(_LOOK_AGAIN_S)
    raise MachineError(f"{service.name} does not answer at {service.address} after {_START_S:.0f} s: see {service.log}")


def wait_until_one_ends(services: Sequence[Service], started: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Raises `PermanentError` with the end of the log of the service that ended."""
    while True:
        for service in services:
            if started[service.name].poll() is not None:
                raise PermanentError(f"{service.name} ended: {_end_of(service.log)}; all of it: {service.log}")
        time.sleep(_LOOK_AGAIN_S)


def _end_of(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " | ".join(line.strip() for line in lines[-_LINES_OF_LOG:])
