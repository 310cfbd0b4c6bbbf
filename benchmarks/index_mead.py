"""How long indexing a full-size MEAD tree takes: 60 actors x 7 views x 670 clips = 281,400 empty files.

    python benchmarks/index_mead.py [--files 281400] [--folder DIR]

Prints seconds and peak memory of the first pass (listing, labels, probe decisions, table) and of a second, unchanged
one. Empty files measure what the number of files costs; real ones add their reading, which the disk decides.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from magictalk_core.corpora.mead.clips import VIEWS
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.preparation.listing import write_index
from magictalk_core.presets.preset import load_preset
from magictalk_core.vocabulary.emotions import EMOTIONS
from magictalk_core.workspace import Workspace


def make_tree(root: Path, files: int) -> int:
    """MEAD-shaped empty videos and one audio file for each view-less recording; returns the number of videos."""
    made = 0
    for actor in (f"{'MW'[i % 2]}{i:03d}" for i in range(3, 63)):
        for view in VIEWS:
            for emotion in EMOTIONS:
                for level in (1,) if emotion == "neutral" else (1, 2, 3):
                    folder = root / actor / "video" / view / emotion / f"level_{level}"
                    folder.mkdir(parents=True)
                    for number in range(1, 41 if emotion == "neutral" else 31):
                        if made == files:
                            return made
                        (folder / f"{number:03d}.mp4").touch()
                        made += 1
    return made


def index_once(home: Path) -> None:
    """One pass in this process; prints seconds and peak memory."""
    start = time.perf_counter()
    result = write_index(Workspace(home), "mead", load_preset("sample"))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"  {result.clips} clips, {result.rejected} rejected, {seconds:.1f} s, peak {peak:.2f} GB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=281_400)
    parser.add_argument("--folder", type=Path, help="where the tree is made; default: a temporary folder")
    parser.add_argument("--pass-in", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pass_in:
        index_once(options.pass_in)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        root, home = Path(scratch) / "MEAD", Path(scratch) / "home"
        print(f"{make_tree(root, options.files)} files", flush=True)
        add_corpus(Workspace(home), new_entry(name="mead", kind="mead", root=root, views=VIEWS))
        for label in ("first pass", "second pass"):
            print(label, flush=True)
            subprocess.run([sys.executable, __file__, "--pass-in", str(home)], check=True)


if __name__ == "__main__":
    main()
