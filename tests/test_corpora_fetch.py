"""Fetching what lists name, with a fetcher that serves local bytes: no network."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from magictalk_core.acquire.fetch import (
    BlockedError,
    FetchSummary,
    fetch_corpus,
    read_outcomes,
)
from magictalk_core.acquire.wanted import wanted_recordings
from magictalk_core.acquire.ytdlp import YtDlpFetcher, failure_of
from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.records import Recording
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.errors import PermanentError, TransientError, UserError
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.workspace import Workspace
from pipelines.cli import app

IDS = {"Radio1": "aaaaaaaaaaa", "Radio2": "-bbbbbbbbb_", "Radio3": "ccccccccccc", "Radio4": "ddddddddddd"}


def url(video_id: str) -> str:
    return f"https://www.youtube.com/watch?v={video_id}"


class FakeFetcher:
    """Serves bytes; `failures`: what to raise for an address, one per call, None for none."""

    def __init__(self, failures: dict[str, list[BaseException | None]] | None = None) -> None:
        self.failures = failures or {}
        self.calls: list[tuple[str, int | None]] = []
        self.targets: list[Path] = []

    def fetch(self, address: str, target: Path, height: int | None) -> None:
        self.calls.append((address, height))
        self.targets.append(target)
        left = self.failures.get(address, [])
        failure = left.pop(0) if left else None
        if failure is not None:
            raise failure
        target.write_bytes(f"film {address}".encode())


@pytest.fixture
def hdtf(tmp_path: Path) -> CorpusEntry:
    """Lists of five names; WDA_Second is the same video as RD Radio1, Radio9 has no crop."""
    root = tmp_path / "lists"
    root.mkdir()
    urls = "".join(f"{name} {url(video)}&t=6s\n" for name, video in IDS.items())
    names = [*IDS, "Radio9"]
    (root / "RD_video_url.txt").write_text(urls + f"Radio9 {url('eeeeeeeeeee')}\n")
    (root / "RD_annotion_time.txt").write_text("".join(f"{name}.mp4 00:10-00:20\n" for name in names))
    (root / "RD_resolution.txt").write_text("".join(f"{name}.mp4 720\n" for name in names))
    (root / "RD_crop_wh.txt").write_text("".join(f"{name}_0.mp4 1 400 2 400\n" for name in IDS))
    (root / "WDA_video_url.txt").write_text(f"Second0 {url(IDS['Radio1'])}\n")
    (root / "WDA_annotion_time.txt").write_text("Second0.mp4 00:10-00:20\n")
    (root / "WDA_resolution.txt").write_text("Second0.mp4 1080\n")
    (root / "WDA_crop_wh.txt").write_text("Second0_0.mp4 1 400 2 400\n")
    return new_entry(name="hdtf", kind="hdtf", root=root)


class Sleeper:
    def __init__(self) -> None:
        self.pauses: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)


def run(workspace: Workspace, entry: CorpusEntry, fetcher: Any, **options: Any) -> FetchSummary:
    options = {"sleep": Sleeper()} | options
    return fetch_corpus(workspace, entry, fetcher, lambda line: None, **options)


def files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_one_recording_per_id_and_only_those_that_give_clips(hdtf: CorpusEntry) -> None:
    assert wanted_recordings(hdtf) == [
        Recording(url("aaaaaaaaaaa"), ("RD_Radio1.mp4", "WDA_Second0.mp4"), 720),
        Recording(url("-bbbbbbbbb_"), ("RD_Radio2.mp4",), 720),
        Recording(url("ccccccccccc"), ("RD_Radio3.mp4",), 720),
        Recording(url("ddddddddddd"), ("RD_Radio4.mp4",), 720),
    ]


def test_what_the_corpus_folder_has_is_not_wanted(hdtf: CorpusEntry) -> None:
    for name in ("RD_Radio1.mp4", "raw/Radio2.webm", "clips/RD_Radio3_000.mp4"):
        (hdtf.root / name).parent.mkdir(exist_ok=True)
        (hdtf.root / name).write_text("x")
    assert [r.files for r in wanted_recordings(hdtf)] == [("RD_Radio4.mp4",), ("WDA_Second0.mp4",)]


def test_the_official_lists(shared: Path) -> None:
    wanted = wanted_recordings(new_entry(name="h", kind="hdtf", root=shared / "datasets/hdtf"))
    twice = [r for r in wanted if len(r.files) > 1]
    assert (len(wanted), sum(len(r.files) for r in wanted)) == (355, 356)
    assert [r.files for r in twice] == [("WDA_JamesClyburn1.mp4", "WDA_WhipJimClyburn.mp4")]
    heights = {r.files[0]: r.height for r in wanted}
    assert heights["WRA_KevinMcCarthy1.mp4"] is None and heights["RD_Radio56.mp4"] == 2160
    talking = wanted_recordings(new_entry(name="t", kind="talkinghead1kh", root=shared / "datasets/talkinghead1kh"))
    assert len(talking) == 76 and "train/raw_videos/--Y9imYnfBw.mp4" in {r.files[0] for r in talking}


def test_files_appear_under_all_their_names(workspace: Workspace, hdtf: CorpusEntry) -> None:
    fetcher, sleeper = FakeFetcher(), Sleeper()
    summary = run(workspace, hdtf, fetcher, sleep=sleeper, pause_s=7)
    local = workspace.local_media("hdtf")
    assert files(local) == {
        "RD_Radio1.mp4": f"film {url('aaaaaaaaaaa')}",
        "WDA_Second0.mp4": f"film {url('aaaaaaaaaaa')}",
        "RD_Radio2.mp4": f"film {url('-bbbbbbbbb_')}",
        "RD_Radio3.mp4": f"film {url('ccccccccccc')}",
        "RD_Radio4.mp4": f"film {url('ddddddddddd')}",
    }
    assert fetcher.calls == [(url(video), 720) for video in IDS.values()]
    assert all(t.parent == local and t.name.startswith(".part-") and t.suffix == ".mp4" for t in fetcher.targets)
    assert sleeper.pauses == [7, 7, 7]
    assert (local / "WDA_Second0.mp4").samefile(local / "RD_Radio1.mp4")
    assert summary == FetchSummary(5, 5, 0, 0, 0, ())
    outcome = read_outcomes(workspace.fetched_table("hdtf"))["WDA_Second0.mp4"]
    assert (outcome.status, outcome.tries, outcome.bytes) == ("fetched", 1, len(f"film {url('aaaaaaaaaaa')}"))
    assert datetime.fromisoformat(outcome.last_try).utcoffset() is not None
    assert run(workspace, hdtf, fetcher).fetched == 5 and len(fetcher.calls) == 4


def test_a_second_name_is_copied_where_links_are_not_possible(
    workspace: Workspace, hdtf: CorpusEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError("not on this file system")

    monkeypatch.setattr("os.link", no_links)
    run(workspace, hdtf, FakeFetcher())
    local = workspace.local_media("hdtf")
    assert (local / "WDA_Second0.mp4").read_bytes() == (local / "RD_Radio1.mp4").read_bytes()


def test_a_lost_second_name_needs_no_download(workspace: Workspace, hdtf: CorpusEntry) -> None:
    run(workspace, hdtf, FakeFetcher())
    (workspace.local_media("hdtf") / "WDA_Second0.mp4").unlink()
    fetcher = FakeFetcher()
    assert run(workspace, hdtf, fetcher).fetched == 5 and fetcher.calls == []
    assert (workspace.local_media("hdtf") / "WDA_Second0.mp4").is_file()
    (workspace.local_media("hdtf") / "RD_Radio3.mp4").unlink()
    run(workspace, hdtf, fetcher)
    assert [address for address, _ in fetcher.calls] == [url(IDS["Radio3"])]
    workspace.fetched_table("hdtf").unlink()
    assert run(workspace, hdtf, fetcher).fetched == 5 and len(fetcher.calls) == 1


def test_what_is_gone_is_a_row_and_is_not_asked_for_again(workspace: Workspace, hdtf: CorpusEntry) -> None:
    gone = {url(IDS["Radio1"]): [PermanentError("Private\nvideo")]}
    summary = run(workspace, hdtf, FakeFetcher(gone))
    assert (summary.fetched, summary.gone) == (3, 2)
    assert [(m.file, m.status, m.detail, m.tries, m.bytes) for m in summary.misses] == [
        ("RD_Radio1.mp4", "gone", "Private video", 1, None),
        ("WDA_Second0.mp4", "gone", "Private video", 1, None),
    ]
    assert {m.address for m in summary.misses} == {url(IDS["Radio1"])}
    fetcher = FakeFetcher()
    assert run(workspace, hdtf, fetcher).gone == 2 and fetcher.calls == []
    summary = run(workspace, hdtf, fetcher, retry_misses=True)
    assert (summary.fetched, summary.misses, len(fetcher.calls)) == (5, (), 1)
    assert read_outcomes(workspace.fetched_table("hdtf"))["RD_Radio1.mp4"].tries == 2


def test_passing_failures_are_tried_four_times_with_growing_pauses(workspace: Workspace, hdtf: CorpusEntry) -> None:
    failures: dict[str, list[BaseException | None]] = {
        url(IDS["Radio1"]): [TransientError("timed out"), TransientError("timed out"), None],
        url(IDS["Radio2"]): [TransientError("reset")] * 4,
    }
    fetcher, sleeper = FakeFetcher(failures), Sleeper()
    summary = run(workspace, hdtf, fetcher, sleep=sleeper, pause_s=1)
    assert [address for address, _ in fetcher.calls].count(url(IDS["Radio2"])) == 4
    assert sleeper.pauses == [10, 30, 1, 10, 30, 90, 1, 1]
    assert [(m.file, m.status, m.tries) for m in summary.misses] == [("RD_Radio2.mp4", "failed", 4)]
    assert run(workspace, hdtf, fetcher).misses == ()
    assert read_outcomes(workspace.fetched_table("hdtf"))["RD_Radio2.mp4"].tries == 5


def test_a_block_stops_the_run(workspace: Workspace, hdtf: CorpusEntry) -> None:
    fetcher = FakeFetcher({url(video): [BlockedError("HTTP Error 429")] for video in IDS.values()})
    summary = run(workspace, hdtf, fetcher)
    assert len(fetcher.calls) == 3 and "3 failures in a row" in summary.stopped and "429" in summary.stopped
    assert (summary.failed, summary.left) == (4, 1)
    assert "429" in summary.line()
    assert run(workspace, hdtf, FakeFetcher()).fetched == 5


def test_an_end_in_the_middle_loses_nothing(workspace: Workspace, hdtf: CorpusEntry) -> None:
    fetcher = FakeFetcher({url(IDS["Radio3"]): [KeyboardInterrupt()]})
    with pytest.raises(KeyboardInterrupt):
        run(workspace, hdtf, fetcher)
    assert {o.file for o in read_outcomes(workspace.fetched_table("hdtf")).values()} == {
        "RD_Radio1.mp4",
        "WDA_Second0.mp4",
        "RD_Radio2.mp4",
    }
    again = FakeFetcher()
    assert run(workspace, hdtf, again).fetched == 5
    assert [address for address, _ in again.calls] == [url(IDS["Radio3"]), url(IDS["Radio4"])]
    assert again.targets[0] == fetcher.targets[-1]  # the same temporary name: a downloader continues there


def test_a_download_without_a_file_is_a_failure(workspace: Workspace, hdtf: CorpusEntry) -> None:
    class Nothing(FakeFetcher):
        def fetch(self, address: str, target: Path, height: int | None) -> None:
            target.write_bytes(b"")

    summary = run(workspace, hdtf, Nothing(), limit=1)
    assert (summary.failed, summary.left) == (2, 3) and "without a file" in summary.misses[0].detail
    assert not (workspace.local_media("hdtf") / "RD_Radio1.mp4").exists()


def test_a_limit_and_a_full_disk(workspace: Workspace, hdtf: CorpusEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = run(workspace, hdtf, FakeFetcher(), limit=2)
    assert (summary.fetched, summary.left) == (3, 2)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    assert "make room" in run(workspace, hdtf, FakeFetcher()).stopped


def test_two_fetchers_do_not_meet(workspace: Workspace, hdtf: CorpusEntry) -> None:
    lock = workspace.corpus("hdtf") / ".fetch.lock"
    with held_or_refused(lock, "x"), pytest.raises(UserError, match="fetching `hdtf` is in use"):
        run(workspace, hdtf, FakeFetcher())


def test_talkinghead_ids_may_begin_with_a_dash(workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "th"
    root.mkdir()
    (root / "train_video_ids.txt").write_text("--Y9imYnfBw\n-_A2imYnfBw\nzzzzzzzzzzz")
    tube = "{}_{:04d}, 720, 1280, 0, 271, 504, 63, 792, 351\n"
    (root / "train_video_tubes.txt").write_text(tube.format("--Y9imYnfBw", 0) + tube.format("-_A2imYnfBw", 1))
    (root / "val_video_tubes.txt").write_text(tube.format("aAaAaAaAaA_", 0) + tube.format("hereHERE123", 0))
    (root / "val").mkdir()
    (root / "val" / "hereHERE123_0000.mp4").write_text("chunk")
    entry = new_entry(name="th", kind="talkinghead1kh", root=root)
    fetcher = FakeFetcher()
    assert run(workspace, entry, fetcher).fetched == 3
    assert sorted(files(workspace.local_media("th"))) == [
        "train/raw_videos/--Y9imYnfBw.mp4",
        "train/raw_videos/-_A2imYnfBw.mp4",
        "val/raw_videos/aAaAaAaAaA_.mp4",
    ]
    assert (url("--Y9imYnfBw"), 720) in fetcher.calls


def test_corpora_without_lists_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not published as lists"):
        run(workspace, new_entry(name="m", kind="mead", root=tmp_path), FakeFetcher())
    for kind in ("hdtf", "talkinghead1kh"):
        with pytest.raises(UserError, match="lists"):
            run(workspace, new_entry(name="e", kind=kind, root=tmp_path), FakeFetcher())
    with pytest.raises(PermanentError, match="disk mounted"):
        run(workspace, new_entry(name="e", kind="hdtf", root=tmp_path / "gone"), FakeFetcher())


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("ERROR: [youtube] a: Private video. Sign in if you've been granted access", PermanentError),
        ("ERROR: [youtube] a: Video unavailable. This video is no longer available", PermanentError),
        ("[youtube] a: The uploader has not made this video available in your country", PermanentError),
        ("[youtube] a: Sign in to confirm your age. This video may be inappropriate", PermanentError),
        ("[youtube] a: This video has been removed by the uploader", PermanentError),
        ("[youtube] a: Requested format is not available. Use --list-formats", PermanentError),
        ("[youtube] a: Join this channel to get access to members-only content", PermanentError),
        ("[youtube] a: Sign in to confirm you’re not a bot. Use --cookies", BlockedError),
        ("Unable to download webpage: HTTP Error 429: Too Many Requests", BlockedError),
        ("Video unavailable. This content isn't available, try again later. rate-limited by YouTube", BlockedError),
        ("Unable to download API page: HTTP Error 503: Service Temporarily Unavailable", TransientError),
        ("unable to download video data: HTTP Error 403: Forbidden", TransientError),
        ("[Errno 104] Connection reset by peer", TransientError),
    ],
)
def test_messages_of_the_downloader(message: str, kind: type[Exception]) -> None:
    assert type(failure_of(message)) is kind


def test_a_missing_extra_is_said_with_what_to_type(
    workspace: Workspace, hdtf: CorpusEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    add_corpus(workspace, hdtf)
    done = CliRunner().invoke(app, ["corpus", "fetch", "hdtf", "--home", str(workspace.home)])
    assert done.exit_code == 2 and "pip install 'magictalk[fetch]'" in done.stderr


class FakeYtDlp:
    """The part of yt_dlp that is used: writes what `outtmpl` says."""

    class utils:
        class YoutubeDLError(Exception):
            pass

    class YoutubeDL:
        def __init__(self, options: dict[str, Any]) -> None:
            self.target = Path(options["outtmpl"]["default"] % {"ext": "mp4"})

        def __enter__(self) -> FakeYtDlp.YoutubeDL:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def download(self, addresses: list[str]) -> None:
            if IDS["Radio2"] in addresses[0]:
                raise FakeYtDlp.utils.YoutubeDLError("ERROR: [youtube] x: Private video")
            self.target.write_text(addresses[0])


def test_the_command_with_a_downloader_of_our_own(
    workspace: Workspace, hdtf: CorpusEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yt_dlp", FakeYtDlp)  # type: ignore[arg-type]
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/ffmpeg")
    add_corpus(workspace, hdtf)
    arguments = ["corpus", "fetch", "hdtf", "--pause", "0", "--home", str(workspace.home)]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["wanted"], found["fetched"], found["gone"]) == (5, 4, 1)
    assert found["misses"][0]["file"] == "RD_Radio2.mp4" and "Private" in found["misses"][0]["detail"]
    assert "4 fetched, 1 gone" in done.stderr and "2/4 RD_Radio2.mp4: gone" in done.stderr
    assert "Private video" in CliRunner().invoke(app, arguments).stdout


def test_options_of_the_downloader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yt_dlp", FakeYtDlp)  # type: ignore[arg-type]
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/ffmpeg")
    fetcher = YtDlpFetcher(rate_limit=1000)
    options = fetcher.options(tmp_path / "100%/.part-a.b.mp4", 720)
    assert options["outtmpl"]["default"] == str(tmp_path / "100%%/.part-a.b") + ".%(ext)s"
    assert options["format"].startswith("bv*[height=720][ext=mp4]+ba[ext=m4a]/")
    assert options["format_sort"] == ["height:720"] and fetcher.options(tmp_path / "a.mp4", None)["format_sort"] == []
    assert options["noplaylist"] and options["continuedl"] and options["merge_output_format"] == "mp4"
    assert options["ratelimit"] == 1000 and options["sleep_interval_requests"] > 0


def test_without_ffmpeg_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yt_dlp", FakeYtDlp)  # type: ignore[arg-type]
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(UserError, match="ffmpeg"):
        YtDlpFetcher()
