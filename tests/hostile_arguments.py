"""Arguments that nobody should give, for every command: files of all kinds, impossible paths, numbers and words."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from magictalk_core.faces.extract import frames_table
from magictalk_core.faces.observation import NO_FACE
from magictalk_core.rig.live_link import LIVE_LINK_HEADER
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import FRAMES
from tests.face_fixtures import astronaut
from tests.media_fixtures import make_clip

NUMBERS = ["-1", "0", "1", "2", "64", "65", "1025", "9" * 30, "-" + "9" * 30, "nan", "inf", "-inf", "1e400", "0x10",
           "", "abc", "½", "1,5", "1_000", "٣"]  # fmt: skip
WORDS = [
    "", " ", "happy", "HAPPY", "joy", "../..", "a/b", "\n", "🙂", "x" * 5000, "-", "--", "%s", "[red]", "{0}",
    "'; true", "*", "\x1b[31m", "a\tb", "\udcff", "none", "all", "auto", "mine", ".", "CON", "a:b", "ﬁ",
]  # fmt: skip

Choose = Callable[[random.Random], str]


@dataclass
class Command:
    """The words of a command, its arguments in order, its options (None: a switch), those it cannot do without, and
    those without which it would work for minutes."""

    words: list[str]
    arguments: list[Choose] = field(default_factory=list)
    options: dict[str, Choose | None] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    always: tuple[str, ...] = ()

    def line(self, chance: random.Random) -> list[str]:
        """One line of it: now and then an argument too few or too many, any subset of options, in any order."""
        given = [choose(chance) for choose in self.arguments]
        if chance.random() < 0.05:
            given = given[:-1] if chance.random() < 0.5 else [*given, chance.choice(WORDS)]
        parts = [[value] for value in given]
        for name, choose in self.options.items():
            if name in self.always or chance.random() < (0.95 if name in self.needed else 0.3):
                parts.append([name] if choose is None else [name, choose(chance)])
        chance.shuffle(parts)
        return [*self.words, *(word for part in parts for word in part)]


def make_files(folder: Path) -> list[str]:
    """Paths of files, of what is no file, and of nothing."""
    noise = np.random.default_rng(0).bytes(3000)
    contents: dict[str, bytes] = {
        "text.txt": b"hello\n", "noise.mp4": noise, "noise.parquet": b"PAR1" + noise + b"PAR1", "noise.wav": noise,
        "noise.png": b"\x89PNG\r\n\x1a\n" + noise, "noise.glb": struct.pack("<III", 0x46546C67, 2, 3000) + noise,
        "empty.csv": b"", "empty.wav": b"", "empty.png": b"", "empty.glb": b"", "empty.parquet": b"",
        "words.csv": b"a,b,c\n1,2\n,,,,\n", "quote.csv": b'clip_id,"frame\n1,2', "nul.csv": bytes(100), "utf16.csv":
        "clip_id;frame".encode("utf-16"), "bad.yaml": b"a: [1", "list.yaml": b"- 1\n- 2\n", "deep.yaml": b"[" * 200,
        "header.csv": ",".join(LIVE_LINK_HEADER).encode(), "bad.json": b"{", "a" * 240 + ".csv": b"x", "new\nline.mp4":
        b"x", "größe 🙂.png": b"x", "-o": b"x", "riff.wav": b"RIFF\xff\xff\xff\x7fWAVEfmt " + noise[:40],
    }  # fmt: skip
    rows = [",".join([f"00:00:00:{n:02d}.000", "61", *["0.1"] * 61]) for n in range(3)]
    contents["takes.csv"] = "\n".join([",".join(LIVE_LINK_HEADER), *rows]).encode()
    contents["one_row.csv"] = "\n".join([",".join(LIVE_LINK_HEADER), "x", rows[0]]).encode()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    write_table(FRAMES, frames_table("a/b/c", [NO_FACE] * 3, "t/1"), folder / "frames.parquet")
    Image.fromarray(astronaut()).save(folder / "face.png")
    make_clip(folder / "tiny.mp4", 0.2, size="64x48")
    (folder / "folder.mp4").mkdir()
    (folder / "unreadable.png").write_bytes(b"x")
    (folder / "unreadable.png").chmod(0)
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    (folder / "dangling.wav").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "fifo.wav")
    raw = os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.mp4")
    Path(raw).write_bytes(b"x")
    odd = [
        "", ".", "/", "missing.mp4", "text.txt/below.csv", "x" * 5000, "y" * 300 + ".csv", "~nobody-there/a.csv", "-",
        "/proc/self/mem", "/dev/null", "a\nb.csv", "../" * 100 + "etc/hostname", "http://localhost/x.mp4",
    ]  # fmt: skip
    return [*(str(path) for path in sorted(folder.iterdir())), raw, *odd]


def make_outputs(folder: Path) -> list[str]:
    """Paths to write to: good ones and others."""
    names = ["o.csv", "o.parquet", "o.glb", "o.npy", "o.mp4", "new/below/o.mp4", "o.MP4", "o", ".csv", "o.", "a\nb.csv",
             "🙂.npy", "text.txt/o.csv", "folder.mp4", "z" * 300 + ".csv", "o." + "c" * 300, "y" * 250 + ".parquet",
             "loop.mp4/o.csv", "takes.csv", "\udcff.csv"]  # fmt: skip
    return [*(str(folder / name) for name in names), "", ".", "/proc/o.csv", "/dev/null/o.mp4", "/sys/o.npy", "-"]


def _one_of(*values: str) -> Choose:
    return lambda chance: chance.choice(values)


def _mostly(good: list[str], bad: list[str]) -> Choose:
    """Good ones in two of three cases, so that what lies behind the first check is reached too."""
    return lambda chance: chance.choice(good if chance.random() < 2 / 3 else bad)


def commands(files: list[str], outputs: list[str], homes: list[str]) -> list[Command]:
    """All of `magictalk`; what would work for minutes is never given all that it needs."""
    file, word, home = _one_of(*files), _one_of(*WORDS), _mostly(homes[:1], homes)
    named = _mostly(["mine"], WORDS)
    listed: dict[str, Choose | None] = {"--home": home, "--json": None}
    never_good = {"always": ("--preset",)}
    preset = _one_of(*files, *WORDS)
    return [
        *_file_commands(files, outputs, listed),
        Command(["corpus", "add"], [named], _corpus_options(file, home), ("--kind", "--root")),
        Command(["corpus", "list"], [], dict(listed)),
        Command(["corpus", "check"], [named], dict(listed)),
        Command(["corpus", "unpack"], [named], listed | {"--keep-partial": None}),
        Command(["corpus", "observe"], [named], {"--home": home}),
        Command(["corpus", "fetch"], [named], listed | {"--limit": _one_of(*NUMBERS), "--pause": _one_of(*NUMBERS)}),
        *_workspace_commands(files, outputs, listed),
        Command(["demo"], [], {"--preset": preset}, **never_good),
        Command(["run"], [], {"--preset": preset, "--select": word, "--init": preset, **listed}, **never_good),
        Command(["weights", "list"], [], {"--json": None}),
        Command(["weights", "verify"], [], {"--json": None}),
        Command(["weights", "fetch"], [word]),
    ]


def _workspace_commands(files: list[str], outputs: list[str], listed: dict[str, Choose | None]) -> list[Command]:
    """What is asked and done of a workspace as a whole."""
    word, output = _one_of(*WORDS), _mostly(outputs[:6], outputs)
    family, reason = _mostly(["emodiff"], WORDS), {"--reason": word}
    written = {"--home": listed["--home"], "-o": output}
    named = {"--clip": word, "--speaker": _mostly(["mine/a"], WORDS), "--source": word}
    return [
        Command(["preset", "set"], [_mostly(["sample"], [*files, *WORDS])], dict(listed)),
        Command(["preset", "show"], [], listed | {"--values": None}),
        Command(["preset", "diff"], [_mostly(["paper"], [*files, *WORDS])], dict(listed)),
        Command(
            ["lineage"], [_one_of(*files, *WORDS)], listed | {"--downstream": None, "--all": None, "--html": output}
        ),
        Command(["lineage-report"], [], dict(listed)),
        Command(["audit"], [], listed | {"--repair": None, "--no-raw": None}),
        Command(["gc"], [], listed | {"--delete": None, "--days": _one_of(*NUMBERS)}),
        Command(["withdraw"], [], listed | named | reason | {"--by": word, "--purge": None, "--dry-run": None}),
        Command(["withdraw", "list"], [], dict(listed)),
        Command(["withdraw", "undo"], [_one_of(*NUMBERS)], {"--home": listed["--home"], "--by": word, **reason}),
        Command(["release", "list"], [family], dict(listed)),
        Command(["release", "promote"], [family, _one_of(*NUMBERS)], listed | reason),
        Command(["release", "rollback"], [family], listed | reason),
        Command(["snapshot", "list"], [], dict(listed)),
        Command(["snapshot", "diff"], [word, word], dict(listed)),
        Command(["snapshot", "restore"], [word], listed | {"--force": None}),
        Command(["snapshot", "push"], [], {"--home": listed["--home"]}),
        Command(["snapshot", "pull"], [], {"--home": listed["--home"]}),
        Command(["export", "croissant"], [_mostly(["arkit_dataset", "mine"], WORDS)], written | {"--published": word}),
        Command(["export", "openlineage"], [], dict(written)),
        Command(["export", "ml-bom"], [family], dict(written)),
        Command(["export", "model-card"], [family], dict(written)),
        Command(["mlflow", "sync"], [], {"--home": listed["--home"]}),
        *_comparing_commands(files, outputs, listed),
    ]


def _comparing_commands(files: list[str], outputs: list[str], listed: dict[str, Choose | None]) -> list[Command]:
    """Systems of others, and the study with people."""
    word, number = _one_of(*WORDS), _one_of(*NUMBERS)
    system = _mostly(["sadtalker", "evp"], WORDS)
    where = {"--checkout": word, "--python": word, "--videos": _one_of(*files, *WORDS), "--argument": word}
    how = {"--fit": word, "--environment": word, "--size": word, "--timeout": number, "--memory": number}
    asked = {"--clips": number, "--pairs-each": number, "--checks": number, "--seed": number, "--method": word}
    home = {"--home": listed["--home"]}
    return [
        Command(["compare", "list"], [], dict(listed)),
        Command(["compare", "add"], [system], where | how | home),
        Command(["compare", "remove"], [system], dict(home)),
        Command(["compare", "run"], [system], listed | {"--retry": None}),
        Command(["compare", "failed"], [], dict(listed)),
        Command(["study", "make"], [], listed | asked | {"--out": _mostly(outputs[:6], outputs)}),
        Command(["study", "add"], [_one_of(*files, *WORDS)], dict(home)),
        Command(["study", "figure"], [], dict(listed)),
    ]


def _corpus_options(file: Choose, home: Choose) -> dict[str, Choose | None]:
    switches = ("--synthetic", "--filmed", "--replace", "--no-training")
    word = _one_of(*WORDS)
    return {
        "--kind": _mostly(["folder", "mead", "hdtf", "talkinghead1kh"], WORDS), "--root": _mostly(["."], ["", *WORDS]),
        "--labels": file, "--views": word, "--split": word, "--buckets": _one_of(*NUMBERS), "--licence": word,
        "--home": home, **dict.fromkeys(switches),
    }  # fmt: skip


def _file_commands(files: list[str], outputs: list[str], listed: dict[str, Choose | None]) -> list[Command]:
    file, clip = _one_of(*files), _mostly(["a/b/c"], WORDS)
    number, form = (
        _mostly(["1", "3", "64", "65"], NUMBERS),
        _mostly(["csv", "parquet", "gltf", "livelink", "usd"], WORDS),
    )
    curves = _mostly([o for o in outputs if o.endswith((".csv", ".glb"))], outputs)
    features = _mostly([o for o in outputs if o.endswith("o.npy")], outputs)
    video = _mostly([o for o in outputs if o.endswith("o.mp4")], outputs)
    pictures = [f for f in files if ".png" in f]
    moved = {
        "--audio": _mostly([f for f in files if "tiny" in f], files), "--portrait": _mostly(pictures, files),
        "--style": _mostly(["happy"], WORDS), "-o": video, "--model": file, "--size": number, "--seed": number,
        "--intensity": _mostly(["0", "1"], NUMBERS), "--face": _mostly(["1"], NUMBERS), "--no-lips": None,
        "--rig": file, **listed,
    }  # fmt: skip
    live = {
        **{name: moved[name] for name in ("--audio", "--style", "--model", "--seed", "--intensity")}, **listed,
        "--to": _mostly(["udp://127.0.0.1:11111"], WORDS), "--fps": _mostly(["25", "60"], NUMBERS),
        "--subject": _one_of(*WORDS), "--no-pace": None,
    }  # fmt: skip
    good = [f for f in files if f.endswith(("tiny.mp4", "takes.csv", "frames.parquet"))]
    read: dict[str, Choose | None] = {"-o": curves, "--json": None, "--format": form}
    converted = read | {"--clip": clip, "--smooth": number, "--fps": number, "--rig": file}
    layout = _mostly(["frames", "steps", "windows"], WORDS)
    spoken = {"-o": features, "--feature": _mostly(["logmel-29-1"], WORDS), "--layout": layout, "--logits": None}
    several = [
        Command(["extract"], [file], read | {"--tracker": _mostly(["litert"], WORDS)}, ("-o", "--tracker")),
        Command(["convert"], [_mostly(good, files)], converted, ("-o",)),
        Command(["speech"], [_mostly(good, files)], spoken, ("-o", "--feature")),
        Command(["animate"], [], moved, ("--audio", "--portrait", "--style", "-o", "--home")),
        Command(["animate"], [], moved | {"-o": curves, "--format": form}, ("--audio", "--style", "-o", "--home")),
        Command(["rig"], [file], {"-o": _one_of(*outputs), "--size": number, "--json": None}, ("-o",)),
        Command(["live"], [], live, ("--audio", "--style", "--home"), ("--no-pace",)),
    ]
    return several * 4
