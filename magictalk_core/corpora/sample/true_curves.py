"""The curves that animated the sample corpus, which its builder leaves beside the clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magictalk_core.corpora.mead.clips import find_clips
from magictalk_core.corpora.records import Corpus

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_true_curves", "true_curves_file"]


def true_curves_file(root: Path) -> Path:
    """25 rows per second and clip: path of the video below the root, frame_index and MOTION_NAMES."""
    return root / "truth" / "curves.parquet"


def read_true_curves(corpus: Corpus) -> pd.DataFrame:
    """The true curves by the ids of the clips: clip_id, frame_index, MOTION_NAMES."""
    # Imported here: every command reads the registry of kinds, few read curves.
    import pandas as pd

    curves = pd.read_parquet(true_curves_file(corpus.root))
    ids = {str(clip.path): clip.clip_id for clip in find_clips(corpus, sorted(curves["path"].unique()))}
    curves.insert(0, "clip_id", curves["path"].map(ids))
    return curves.drop(columns="path")
