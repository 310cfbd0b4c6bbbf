"""`magictalk live`: a face that moves while somebody speaks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipelines.console import show_facts
from pipelines.options import Home, Json, workspace_of
from pipelines.stopping import stopped_as_by_ctrl_c

__all__ = ["live_app"]

live_app = typer.Typer(rich_markup_mode=None)


@live_app.command()
def live(
    audio: Annotated[
        str, typer.Option("--audio", help="mic, a file, or - for raw samples on standard input (16 kHz mono, s16le)")
    ],
    style: Annotated[
        str, typer.Option("--style", help="an emotion (happy, sad, ..., joy, ANGER) or the id of a training clip")
    ],
    target: Annotated[
        str, typer.Option("--to", help="where Unreal's Live Link listens, udp://host:port")
    ] = "udp://127.0.0.1:11111",
    fps: Annotated[int, typer.Option("--fps", help="packets a second, 60 or 25")] = 60,
    model: Annotated[
        Path | None, typer.Option("--model", help="folder of EmoDiff or its student; default: the workspace's")
    ] = None,
    intensity: Annotated[
        float, typer.Option("--intensity", min=0.0, max=1.0, help="0: neutral, 1: as strong as in the style")
    ] = 1.0,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**63 - 1, help="another seed gives another performance")
    ] = 0,
    subject: Annotated[
        str, typer.Option("--subject", help="name of the source in Unreal; keep a word that says it is synthetic")
    ] = "magictalk-synthetic",
    pace: Annotated[
        bool, typer.Option("--pace/--no-pace", help="a file as fast as it plays, or as it computes")
    ] = True,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Stream a talking face to Unreal while somebody speaks, in Live Link Face's protocol. Ctrl-C ends it.

    Example: magictalk live --audio hello.wav --style happy --to udp://127.0.0.1:11111
    """
    from magictalk_core.commands.live import LiveWish, live

    wish = LiveWish(style, model, intensity, seed, fps, subject, pace)
    with stopped_as_by_ctrl_c():
        facts = live(workspace_of(home), audio, target, wish)
    show_facts(asdict(facts), as_json)
