"""Dagster's GraphQL as the browser uses it: what a click in the UI sends."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["DagsterUi"]

_LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "magictalk"}

_LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } ... on InvalidSubsetError { message } } }"""
_BACKFILL = """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) { __typename
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_RELOAD = """mutation { reloadRepositoryLocation(repositoryLocationName: "magictalk") { __typename
  ... on WorkspaceLocationEntry { loadStatus } ... on PythonError { message } } }"""
_STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
_BACKFILL_STATUS = (
    "query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
)
_ASSETS = """{ assetNodes { assetKey { path } groupName assetMaterializations(limit: 1) { tags { key value } }
  partitionStats { numMaterialized numPartitions numFailed } } }"""


@dataclass(frozen=True)
class DagsterUi:
    """A running `magictalk ui`."""

    address: str

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.address}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            answer: dict[str, Any] = json.loads(response.read())
        assert "errors" not in answer, answer["errors"]
        found: dict[str, Any] = answer["data"]
        return found

    def launch(self, job: str, config: dict[str, Any] | None = None, timeout_s: float = 7200) -> str:
        """Start a job and wait for its end; its status."""
        selector = {**_LOCATION, "pipelineName": job}
        params = {"selector": selector, "runConfigData": config or {}, "mode": "default"}
        started = self.ask(_LAUNCH, p=params)["launchRun"]
        assert started["__typename"] == "LaunchRunSuccess", started
        run_id = started["run"]["runId"]
        return self._wait(lambda: self.ask(_STATUS, id=run_id)["runOrError"]["status"], timeout_s)

    def backfill(self, keys: Sequence[Sequence[str]], partitions: Sequence[str], timeout_s: float = 7200) -> str:
        params = {
            "assetSelection": [{"path": list(key)} for key in keys],
            "partitionNames": list(partitions),
            "fromFailure": False,
        }
        started = self.ask(_BACKFILL, p=params)["launchPartitionBackfill"]
        assert started["__typename"] == "LaunchBackfillSuccess", started
        backfill = started["backfillId"]
        return self._wait(
            lambda: self.ask(_BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]["status"], timeout_s
        )

    def _wait(self, status: Any, timeout_s: float) -> str:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            found = str(status())
            if found in (
                "SUCCESS",
                "FAILURE",
                "CANCELED",
                "COMPLETED_SUCCESS",
                "COMPLETED_FAILED",
                "COMPLETED",
                "FAILED",
            ):
                return found
            time.sleep(1)
        raise AssertionError(f"still {status()} after {timeout_s} s")

    def reload(self) -> None:
        """The button `Reload` of the code location."""
        answer = self.ask(_RELOAD)["reloadRepositoryLocation"]
        assert answer.get("loadStatus") == "LOADED", answer

    def assets(self) -> dict[str, dict[str, Any]]:
        """name -> what its page says."""
        return {"/".join(node["assetKey"]["path"]): node for node in self.ask(_ASSETS)["assetNodes"]}
