"""What is known of a system of others: what it needs, what it is given, how it is called, where its video lies.

A record states facts of public code and computes nothing: `run_clip.py` carries it out in a folder of its own, which
looks like the checkout and where the system may write. Facts and their source are in each record's own file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ExternalSystem", "NeededFile", "Output", "Panel", "Step"]


@dataclass(frozen=True)
class NeededFile:
    """A file or folder below the checkout that the clone does not bring, and where it comes from."""

    path: str
    address: str


@dataclass(frozen=True)
class Step:
    """One command. In `argv` `{python}` is the interpreter, `{emotion}` the system's own word for the clip's emotion;
    the one word `{fit}` stands for the command that the user gives. `folder`: where it runs, below the run's folder."""

    argv: tuple[str, ...]
    folder: str = "."


@dataclass(frozen=True)
class Panel:
    """The part of the picture that is the face, pixels: systems show inputs beside their result."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Output:
    """Where the result lies below the run's folder: a glob of one video, or with `is_frames` of pictures at 25 fps.

    `size` is (width, height) of the whole picture, None where it depends on the person. `first_frame`: the frame of the
    clip that the first one shows; what is before it is held, so that sound and picture stay together.
    """

    pattern: str
    size: tuple[int, int] | None
    panel: Panel | None = None
    first_frame: int = 0
    is_frames: bool = False


@dataclass(frozen=True)
class ExternalSystem:
    """A system of others. `version` counts what we do with it: one more whenever commands or inputs change.

    `own`: folders below the run's folder that are the run's, empty at first; all else are links into the checkout.
    `linked`: paths of the checkout inside `own`. `aliases`: path of a link -> folder of the run that it leads to.
    `gives`: what the run gets, by path: `portrait` (.png or .jpg), `audio` (.wav), `style_video` (.mp4),
    `style_frames` (a folder of .png). `portrait_side`: the square that the portrait is scaled to, None as it is.
    `speakers`: the only people it can show; `emotions`: its word for each emotion that it knows, empty where it is told
    none.
    """

    name: str
    title: str
    version: str
    repository: str
    main_file: str
    needs: tuple[NeededFile, ...]
    steps: tuple[Step, ...]
    output: Output
    gives: Mapping[str, str]
    terms: str
    own: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    portrait_side: int | None = None
    speakers: tuple[str, ...] = ()
    emotions: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_fit(self) -> bool:
        return any("{fit}" in step.argv for step in self.steps)
