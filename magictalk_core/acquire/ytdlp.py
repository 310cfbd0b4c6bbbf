"""The fetcher that downloads from YouTube: yt-dlp through its Python interface, an optional extra."""

from __future__ import annotations

import importlib
import logging
import re
import shutil
from pathlib import Path
from typing import Any

from magictalk_core.acquire.fetch import BlockedError
from magictalk_core.errors import PermanentError, TransientError, UserError

__all__ = ["YtDlpFetcher", "failure_of"]

logger = logging.getLogger("magictalk.fetch")

_BLOCKED = re.compile(r"HTTP Error 429|too many requests|not a bot|rate-limited|try again later", re.IGNORECASE)
_GONE = re.compile(
    r"private|unavailable|not (made this video )?available|isn.t available|removed|terminated|deleted|does not exist"
    r"|confirm your age|age-restricted|inappropriate|members|copyright|blocked it|HTTP Error (404|410)"
    r"|is not a valid URL|Unsupported URL|Incomplete YouTube ID",
    re.IGNORECASE,
)
_PASSING = re.compile(r"HTTP Error 5\d\d|timed out|temporar", re.IGNORECASE)


def failure_of(message: str) -> PermanentError | TransientError:
    """The project's exception for a message of yt-dlp. Its exceptions carry no code, only text.

    A block is looked for first: YouTube words it like a missing video ("content isn't available, try again later").
    """
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", message).split()).removeprefix("ERROR: ")[:300]
    if _BLOCKED.search(text):
        return BlockedError(text)
    if _GONE.search(text) and not _PASSING.search(text):
        return PermanentError(text)
    return TransientError(text)


class YtDlpFetcher:
    """Downloads with yt-dlp, politely. `rate_limit`: bytes per second, None: no limit of our own.

    Raises `UserError` when the extra `fetch` or ffmpeg, which merges picture and sound, is missing.
    """

    def __init__(self, rate_limit: int | None = None) -> None:
        try:
            self._yt_dlp: Any = importlib.import_module("yt_dlp")
        except ImportError as error:
            raise UserError("fetching needs yt-dlp: type pip install 'magictalk[fetch]'") from error
        if shutil.which("ffmpeg") is None:
            raise UserError("fetching needs the program ffmpeg, which merges picture and sound: install it")
        self._rate_limit = rate_limit

    def fetch(self, address: str, target: Path, height: int | None) -> None:
        """See `corpora.fetch.Fetcher`."""
        try:
            with self._yt_dlp.YoutubeDL(self.options(target, height)) as downloader:
                downloader.download([address])
        except self._yt_dlp.utils.YoutubeDLError as error:
            raise failure_of(str(error)) from error
        except OSError as error:
            raise TransientError(f"{type(error).__name__}: {error}") from error

    def options(self, target: Path, height: int | None) -> dict[str, Any]:
        """Options of `yt_dlp.YoutubeDL`; names as in its docstring, release 2025.11 or later."""
        any_height = ("bv*[ext=mp4]+ba[ext=m4a]", "b[ext=mp4]", "bv*+ba", "b")
        exact = (f"bv*[height={height}][ext=mp4]+ba[ext=m4a]", f"bv*[height={height}]+ba") if height else ()
        template = str(target.with_suffix("")).replace("%", "%%") + ".%(ext)s"
        return {
            "format": "/".join((*exact, *any_height)),
            # `height:720` sorts 720 first, then what is smaller, then what is larger.
            "format_sort": [f"height:{height}"] if height else [],
            "merge_output_format": "mp4",
            "postprocessors": [{"key": "FFmpegVideoRemuxer", "preferedformat": "mp4"}],
            "outtmpl": {"default": template},
            "allowed_extractors": ["youtube"],
            "js_runtimes": {"deno": {}, "node": {}},
            "noplaylist": True,
            "continuedl": True,
            "updatetime": False,
            "retries": 3,
            "fragment_retries": 3,
            "socket_timeout": 30,
            "sleep_interval_requests": 1,
            "sleep_interval": 1,
            "max_sleep_interval": 5,
            "ratelimit": self._rate_limit,
            "quiet": True,
            "noprogress": True,
            "color": "no_color",
            "logger": logger.getChild("yt_dlp"),
        }
