"""What is said when in the sample corpus, which its builder leaves beside the clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magictalk_core.corpora.mead.clips import find_clips
from magictalk_core.corpora.records import Corpus
from magictalk_core.errors import PermanentError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["phonemes_file", "read_phonemes"]


def phonemes_file(root: Path) -> Path:
    """A row per phoneme: path of the video below the root, symbol (IPA), start_s and end_s."""
    return root / "truth" / "phonemes.parquet"


def read_phonemes(corpus: Corpus) -> pd.DataFrame:
    """The phonemes by the ids of the clips: clip_id, symbol, start_s, end_s.

    Raises `PermanentError` for a corpus that an earlier release built, which left no such file.
    """
    # Imported here: every command reads the registry of kinds, few read phonemes.
    import pandas as pd

    path = phonemes_file(corpus.root)
    if not path.is_file():
        raise PermanentError(
            f"{path}: not there: the sample corpus was built by an earlier release; `magictalk demo` adds the file"
        )
    phonemes = pd.read_parquet(path)
    ids = {str(clip.path): clip.clip_id for clip in find_clips(corpus, sorted(phonemes["path"].unique()))}
    phonemes.insert(0, "clip_id", phonemes["path"].map(ids))
    return phonemes.drop(columns="path")
