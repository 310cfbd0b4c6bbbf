"""Ray nodes, a PostgreSQL server and an S3 server on this machine, each stopped by the process that was started."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from magictalk_core.workspace import Workspace
from pipelines.instance import open_instance

ROOT = Path(__file__).resolve().parents[1]
STARTED = "Ray runtime started"
NODES = 2


def need_extra(module: str, extra: str) -> None:
    pytest.importorskip(module, reason=f"needs the extra {extra}: scripts/test-cluster installs it and runs this")


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _node(arguments: list[str], log: Path, stack: ExitStack) -> None:
    """Start one node and wait until it says so. Its ports are named: Ray picks them anew otherwise, and two nodes of
    one machine that start late can pick the same."""
    names = ("dashboard-agent-grpc", "dashboard-agent-listen", "runtime-env-agent", "metrics-export")
    ports = [f"--{name}-port={port}" for name, port in zip(names, free_ports(len(names)), strict=True)]
    common = ["--block", "--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats"]
    command = [str(Path(sys.executable).parent / "ray"), "start", *arguments, *ports, *common]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=os.environ | with_our_python())
    stack.callback(_stop, process)
    until = time.monotonic() + 120
    while STARTED not in log.read_text(encoding="utf-8"):
        assert process.poll() is None and time.monotonic() < until, log.read_text(encoding="utf-8")[-2000:]
        time.sleep(0.5)


def with_our_python() -> dict[str, str]:
    """Steps are started as `dagster` and trainings as `python`: those of this interpreter."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "RAY_USAGE_STATS_ENABLED": "0"}


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def ray_nodes() -> Iterator[dict[str, str]]:
    """Two nodes of one processor; yields the variables that name the cluster."""
    port, dashboard = free_ports(2)
    # Ray's sockets have long names: pytest's own folders are too deep for them.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        head = ["--head", f"--port={port}", f"--dashboard-port={dashboard}", f"--temp-dir={folder}/r"]
        _node(head, folder / "head.log", stack)
        for number in range(1, NODES):
            _node([f"--address={socket.gethostbyname('localhost')}:{port}"], folder / f"node{number}.log", stack)
        yield {"RAY_ADDRESS": f"127.0.0.1:{port}", "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}"}


@contextmanager
def postgres_server() -> Iterator[dict[str, str]]:
    """A server of `scripts/postgres`; yields the variables that it tells."""
    script = str(ROOT / "scripts/postgres")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    (port,) = free_ports(1)
    try:
        subprocess.run([script, "start", str(folder), str(port)], check=True, capture_output=True)
        told = subprocess.run([script, "env", str(folder)], check=True, capture_output=True, text=True).stdout
        yield {name: value.strip("'") for name, value in _exports(told)}
    finally:
        subprocess.run([script, "stop", str(folder)], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _exports(told: str) -> Iterator[tuple[str, str]]:
    for line in told.splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        yield name, value


def data_versions(workspace: Workspace, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Asset, and shard, -> the newest data version in the event log."""
    versions: dict[str, str] = {}
    with open_instance(workspace) as instance:
        for key in instance.all_asset_keys():
            for record in instance.fetch_materializations(key, limit=1000).records:
                made = record.asset_materialization
                assert made is not None
                name = key.to_user_string() + (f"[{made.partition}]" if made.partition else "")
                versions.setdefault(name, str((made.tags or {}).get("dagster/data_version")))
    return versions
