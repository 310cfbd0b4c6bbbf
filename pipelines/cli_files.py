"""Commands that make one file from others; each calls the function of its own file in `magictalk_core.commands`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from magictalk_core.errors import UserError
from pipelines.console import progress, show_facts
from pipelines.options import CurveFormat, Home, Json, workspace_of

__all__ = ["files_app"]

files_app = typer.Typer(rich_markup_mode=None)


@files_app.command()
def extract(
    video: Annotated[Path, typer.Argument(help="any video file, a folder of numbered pictures, or frames/%05d.png")],
    output: Annotated[Path, typer.Option("-o", "--output", help="out.parquet, out.csv, out.glb or out.usda")],
    tracker: Annotated[str, typer.Option("--tracker", help="auto, mediapipe or litert")] = "auto",
    form: CurveFormat = None,
    fps: Annotated[float | None, typer.Option("--fps", min=1, max=1000, help="rate of a folder of pictures")] = None,
    as_json: Json = False,
) -> None:
    """ARKit blendshapes and head pose of every frame of a video, at 25 frames per second.

    Example: magictalk extract interview.mp4 -o interview.csv --format livelink
    """
    from magictalk_core.commands.extract import extract_file

    with progress(f"{video.name}: frames") as report:
        made = extract_file(video, output, tracker, form, report, fps)
    show_facts(asdict(made), as_json)


@files_app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="curves: .parquet, .csv (also Live Link Face), .glb, .gltf, .vrm")],
    output: Annotated[Path, typer.Option("-o", "--output", help="out.parquet, out.csv, out.glb or out.usda")],
    form: CurveFormat = None,
    clip: Annotated[str | None, typer.Option("--clip", help="of a table with several clips, the id of one")] = None,
    smooth: Annotated[
        int | None, typer.Option("--smooth", help="Savitzky-Golay over so many frames, odd; the input stays raw")
    ] = None,
    fps: Annotated[
        float | None, typer.Option("--fps", min=1, help="frames per second of a Live Link recording or of glTF keys")
    ] = None,
    as_json: Json = False,
) -> None:
    """Blendshape curves from one format to another, smoothed if you like.

    Example: magictalk convert take.csv -o take.parquet
    """
    from magictalk_core.commands.convert import convert_file

    made = convert_file(source, output, form=form, clip=clip, smooth=smooth, fps=fps)
    show_facts(asdict(made), as_json)


@files_app.command()
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
    from magictalk_core.commands.speech import featurize_file
    from magictalk_core.config import SpeechConfig

    made = featurize_file(source, output, feature or SpeechConfig().feature, layout, logits)
    show_facts(asdict(made), as_json)


@files_app.command()
def animate(
    audio: Annotated[Path, typer.Option("--audio", help="speech in any format that ffmpeg reads")],
    style: Annotated[
        str, typer.Option("--style", help="an emotion (happy, sad, ..., joy, ANGER) or the id of a training clip")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="out.mp4, or curves: out.csv, out.parquet, out.glb, out.usda")
    ],
    portrait: Annotated[Path | None, typer.Option("--portrait", help="a picture with a face, for a video")] = None,
    form: CurveFormat = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="model folder, or magictalk-base; default: the workspace's, else magictalk-base"),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", min=64, max=1024, help="side of the video, pixels, default 256; odd ones become even"),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**63 - 1, help="another seed gives another performance")
    ] = 0,
    intensity: Annotated[
        float, typer.Option("--intensity", min=0.0, max=1.0, help="0: neutral, 1: as strong as in the style")
    ] = 1.0,
    lips: Annotated[bool, typer.Option("--lips/--no-lips", help="refine the mouth where that was seen to gain")] = True,
    face: Annotated[
        int | None, typer.Option("--face", min=1, help="of several faces, which one; 1 is the largest")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """A talking video from speech, a portrait and an emotional style, labelled as synthetic; or curves from speech and
    style alone, for Unreal, Blender and Maya.

    Example: magictalk animate --audio hello.wav --portrait me.png --style happy -o hello.mp4

    Example: magictalk animate --audio hello.wav --style happy -o take.csv --format livelink
    """
    from magictalk_core.commands.perform import Wish

    workspace, wish = workspace_of(home), Wish(style, model, seed, intensity, lips)
    is_video = output.suffix.lower() == ".mp4" and form is None
    _must_go_together(is_video, output, {"--portrait": portrait, "--size": size, "--face": face})
    if portrait is not None:
        from magictalk_core.commands.animate import DEFAULT_SIZE, animate_file

        size = DEFAULT_SIZE if size is None else size
        facts = asdict(animate_file(workspace, audio, portrait, wish, output, size=size, face=face))
    else:
        from magictalk_core.commands.animate_curves import animate_curves

        facts = asdict(animate_curves(workspace, audio, wish, output, form))
    if not as_json:
        del facts["warnings"]  # already told
    show_facts(facts, as_json)


@files_app.command()
def emotions(
    audio: Annotated[Path, typer.Option("--audio", help="speech in any format that ffmpeg reads")],
    portrait: Annotated[Path, typer.Option("--portrait", help="a picture with a face")],
    output: Annotated[Path, typer.Option("-o", "--output", help="out.mp4")],
    style: Annotated[
        list[str] | None, typer.Option("--style", help="only this emotion or training clip; may be given again")
    ] = None,
    model: Annotated[Path | None, typer.Option("--model", help="as for animate")] = None,
    size: Annotated[int, typer.Option("--size", min=64, max=512, help="side of each face, pixels")] = 224,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="one for all styles")] = 0,
    intensity: Annotated[float, typer.Option("--intensity", min=0.0, max=1.0, help="0: neutral")] = 1.0,
    lips: Annotated[bool, typer.Option("--lips/--no-lips", help="refine the mouth where that was seen to gain")] = True,
    face: Annotated[int | None, typer.Option("--face", min=1, help="of several faces, which one")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """One face and one voice in every emotion, side by side with their names (Figure 9 of the paper).

    Example: magictalk emotions --audio hello.wav --portrait me.png -o all.mp4
    """
    from magictalk_core.commands.emotions import emotions_file
    from magictalk_core.commands.perform import Wish

    wish = Wish("neutral", model, seed, intensity, lips)
    made = emotions_file(workspace_of(home), audio, portrait, wish, output, styles=style or (), size=size, face=face)
    facts = asdict(made)
    if not as_json:
        del facts["warnings"]  # already told
    show_facts(facts, as_json)


@files_app.command()
def dialogue(
    script: Annotated[Path, typer.Argument(help="speakers and lines in YAML: docs/dialogue.md")],
    output: Annotated[Path, typer.Option("-o", "--output", help="out.mp4")],
    model: Annotated[Path | None, typer.Option("--model", help="as for animate")] = None,
    lips: Annotated[bool, typer.Option("--lips/--no-lips", help="refine the mouth where that was seen to gain")] = True,
    writer: Annotated[
        str | None, typer.Option("--writer", help="OpenAI-compatible endpoint (.../v1) for a script with `write`")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Several people who talk to each other: one script to one labelled video. Text is spoken by espeak-ng, flite or a
    command of yours.

    Example: magictalk dialogue script.yaml -o talk.mp4
    """
    from magictalk_core.commands.dialogue import dialogue_file

    made = dialogue_file(workspace_of(home), script, output, model=model, lips=lips, endpoint=writer)
    show_facts(asdict(made), as_json)


@files_app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="a video that magictalk may have written, or a PNG of a figure")],
    original: Annotated[
        Path | None, typer.Option("--original", help="a copy that is intact, for a file whose manifest is gone")
    ] = None,
    as_json: Json = False,
) -> None:
    """Is a file as magictalk wrote it, and if not, what was done to it. Works offline.

    Exit code 0: intact; 1: not; 2: no such file, or no video.

    Example: magictalk verify me.mp4
    """
    from magictalk_core.commands.verify import verify_file

    verdict = verify_file(file, original)
    show_facts(asdict(verdict), as_json)
    raise typer.Exit(0 if verdict.is_intact else 1)


def _must_go_together(is_video: bool, output: Path, of_videos: Mapping[str, object]) -> None:
    """Raise `UserError` for options of a video beside curves, and for a video without a portrait."""
    if is_video and of_videos["--portrait"] is None:
        raise UserError(f"-o {output}: a video needs --portrait; curves end in .csv, .parquet, .glb or .usda")
    given = [] if is_video else [name for name, value in of_videos.items() if value is not None]
    if given:
        raise UserError(f"{', '.join(given)}: -o {output} is no video (.mp4): curves have no picture; leave it out")
