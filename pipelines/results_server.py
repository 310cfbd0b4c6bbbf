"""The report and the comparison videos of a workspace for a browser on this machine, for the links on Dagster's pages.

Browsers open no `file:` address from another page. Nothing else of the workspace is served.

`python -m pipelines.results_server <home> <port>`
"""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["SERVED", "results_server"]

SERVED = ("report", "paper", "figures", "videos")
"""Folders below the home."""


class _Results(SimpleHTTPRequestHandler):
    """Files below `SERVED` alone, links that lead out of them not followed."""

    def send_head(self):  # type: ignore[no-untyped-def]  # what the library returns has no name
        home = Path(self.directory).resolve()
        wanted = (home / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
        if wanted == home:
            self.path = "/report/report.html"
        elif not any(wanted.is_relative_to(home / name) for name in SERVED):
            self.send_error(404)
            return None
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:
        """Requests are nobody's news."""


def results_server(home: Path, port: int) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Results, directory=str(home)))


if __name__ == "__main__":
    results_server(Path(sys.argv[1]), int(sys.argv[2])).serve_forever()
