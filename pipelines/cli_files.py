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

_RIG_FORMS = "a .glb, .gltf or .vrm file with ARKit shapes, a folder or .zip of OBJ files, or builtin"
RigOption = Annotated[Path | None, typer.Option("--rig", help=f"{_RIG_FORMS}: what .glb, .usda or a video shows")]


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
    rig: RigOption = None,
    as_json: Json = False,
) -> None:
    """Blendshape curves from one format to another, smoothed if you like.

    Example: magictalk convert take.csv -o take.parquet
    """
    from magictalk_core.commands.convert import convert_file

    made = convert_file(source, output, form=form, clip=clip, smooth=smooth, fps=fps, rig=rig)
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
        typer.Option(
            "--size",
            min=64,
            max=1024,
            help="side of the video, pixels, default 256; with --crop keep at most, default 1024; odd ones become even",
        ),
    ] = None,
    crop: Annotated[
        str | None, typer.Option("--crop", help="face (a square around it, the default) or keep (your whole picture)")
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
    renderer: Annotated[
        str | None,
        typer.Option("--renderer", help="warp: the picture's own texture (default); facevid2vid: needs weights"),
    ] = None,
    renderer_weights: Annotated[
        Path | None,
        typer.Option("--renderer-weights", help="of facevid2vid: model folder, public .pth.tar or .safetensors"),
    ] = None,
    renderer_estimator: Annotated[
        Path | None,
        typer.Option("--renderer-estimator", help="public .pth.tar that lends its he_estimator to those weights"),
    ] = None,
    renderer_motion: Annotated[
        str | None,
        typer.Option("--renderer-motion", help="relative (default), pose-aware for a portrait from aside, absolute"),
    ] = None,
    adapt_scale: Annotated[
        bool, typer.Option("--adapt-scale", help="facevid2vid: movements as large as the portrait's face")
    ] = False,
    rig: RigOption = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """A talking video from speech, a portrait and an emotional style, labelled as synthetic; or curves from speech and
    style alone, for Unreal, Blender and Maya.

    Example: magictalk animate --audio hello.wav --portrait me.png --style happy -o hello.mp4

    Example: magictalk animate --audio hello.wav --portrait me.png --style happy -o hello.mp4 --crop keep

    Example: magictalk animate --audio hello.wav --style happy -o take.csv --format livelink

    Example: magictalk animate --audio hello.wav --style happy --rig avatar.glb -o hello.mp4
    """
    from magictalk_core.commands.perform import Wish

    workspace, wish = workspace_of(home), Wish(style, model, seed, intensity, lips)
    is_video = output.suffix.lower() == ".mp4" and form is None
    of_videos: dict[str, object] = {"--portrait": portrait, "--size": size, "--face": face, "--crop": crop}
    of_videos |= {"--renderer": renderer, "--renderer-weights": renderer_weights}
    of_videos |= {"--renderer-estimator": renderer_estimator, "--renderer-motion": renderer_motion}
    of_videos |= {"--adapt-scale": adapt_scale or None}
    if is_video and rig is not None:
        _must_show_one(of_videos)
        from magictalk_core.commands.animate_rig import animate_rig
        from magictalk_core.portrait.scene import DEFAULT_SIZES, Crop

        facts = asdict(animate_rig(workspace, audio, rig, wish, output, size=size or DEFAULT_SIZES[Crop.FACE]))
    elif portrait is not None:
        _must_go_together(is_video, output, of_videos)
        from magictalk_core.commands.animate import animate_file
        from magictalk_core.commands.drawing import Look
        from magictalk_core.commands.renderer_choice import renderer_wish
        from magictalk_core.portrait.scene import Crop

        drawn = renderer_wish(renderer, renderer_weights, renderer_estimator, renderer_motion, adapt_scale)
        look = Look(size, crop or Crop.FACE, drawn)
        facts = asdict(animate_file(workspace, audio, portrait, wish, output, look, face=face))
    else:
        _must_go_together(is_video, output, of_videos)
        from magictalk_core.commands.animate_curves import animate_curves

        facts = asdict(animate_curves(workspace, audio, wish, output, form, rig))
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


@files_app.command("rig")
def show(
    source: Annotated[Path | None, typer.Argument(help=f"{_RIG_FORMS}; default builtin")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="sheet.png")] = Path("rig.png"),
    size: Annotated[
        int, typer.Option("--size", min=64, max=512, help="side of one picture of the sheet, pixels")
    ] = 256,
    as_json: Json = False,
) -> None:
    """A sheet of what a rig can do: neutral, six emotions, single shapes, turns; and which ARKit shapes it lacks.

    Example: magictalk rig avatar.glb -o sheet.png
    """
    from magictalk_core.commands.show_rig import show_rig

    show_facts(asdict(show_rig(source, output, size)), as_json)


def _must_show_one(of_videos: Mapping[str, object]) -> None:
    """Raise `UserError` for options of a portrait beside those of a rig."""
    given = [name for name, value in of_videos.items() if value is not None and name != "--size"]
    if given:
        raise UserError(f"--rig and {', '.join(given)}: a video shows a rig or a portrait: leave one of them out")


def _must_go_together(is_video: bool, output: Path, of_videos: Mapping[str, object]) -> None:
    """Raise `UserError` for options of a video beside curves, and for a video without a portrait."""
    if is_video and of_videos["--portrait"] is None:
        raise UserError(
            f"-o {output}: a video needs --portrait, or --rig builtin; curves end in .csv, .parquet, .glb or .usda"
        )
    given = [] if is_video else [name for name, value in of_videos.items() if value is not None]
    if given:
        raise UserError(f"{', '.join(given)}: -o {output} is no video (.mp4): curves have no picture; leave it out")
