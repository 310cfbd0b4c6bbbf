from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from magictalk_core.errors import PermanentError
from magictalk_core.storage.parquet import read_frame, read_table, write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, MOTION, SOURCE, TABLES
from magictalk_core.storage.schema_page import tables_page
from magictalk_core.vocabulary.arkit import (
    ARKIT_NAMES,
    GROUPS,
    JAW_MOUTH_NAMES,
    MOTION_NAMES,
    POSE_NAMES,
    STATE_NAMES,
    mirror_name,
)


def frames(n: int) -> pd.DataFrame:
    values = np.random.default_rng(0).random((n, len(ARKIT_NAMES))).astype(np.float32)
    table = pd.DataFrame(values, columns=list(ARKIT_NAMES))
    table["tongueOut"] = None
    table[list(POSE_NAMES)] = 1.0
    table["clip_id"], table["tracker"] = "c/s/1", "litert-geometric/1"
    table["frame_index"], table["time_s"] = range(n), np.arange(n) / 25
    table["face_found"], table["confidence"] = True, 0.9
    return table


def test_arkit_names_are_the_52_and_groups_cover_them_once() -> None:
    assert len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 52
    assert len(JAW_MOUTH_NAMES) == 27 and len(STATE_NAMES) == 57 and len(MOTION_NAMES) == 58
    grouped = [name for group in GROUPS.values() for name in group]
    assert sorted(grouped) == sorted(set(MOTION_NAMES) - {"tongueOut"})
    assert {mirror_name(n) for n in ARKIT_NAMES} == set(ARKIT_NAMES)


def test_the_same_rows_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    rows = frames(50)
    first = write_table(FRAMES, rows, tmp_path / "a.parquet", {"tracker": "x"})
    second = write_table(FRAMES, rows.sample(frac=1, random_state=1), tmp_path / "b.parquet", {"tracker": "x"})
    assert first == second
    assert read_frame(FRAMES, tmp_path / "a.parquet")["frame_index"].tolist() == list(range(50))


def test_blind_channels_are_null_not_zero(tmp_path: Path) -> None:
    write_table(FRAMES, frames(3), tmp_path / "a.parquet")
    assert read_table(FRAMES, tmp_path / "a.parquet")["tongueOut"].null_count == 3


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("jawOpen", 1.2, "jawOpen"), ("frame_index", 0, "frame_index"), ("time_s", -1.0, "time_s")],
)
def test_a_broken_rule_names_the_column(tmp_path: Path, column: str, value: float, said: str) -> None:
    rows = frames(3)
    rows.loc[1, column] = value
    with pytest.raises(PermanentError, match=said):
        write_table(FRAMES, rows, tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_missing_and_unknown_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="jawOpen"):
        write_table(FRAMES, frames(2).drop(columns="jawOpen"), tmp_path / "a.parquet")
    with pytest.raises(PermanentError, match="surplus"):
        write_table(FRAMES, frames(2).assign(surplus=1), tmp_path / "a.parquet")


def test_a_reader_refuses_another_table_and_another_version(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(SOURCE, [{"path": "a", "bytes": 1, "mtime_ns": 2, "md5": "x"}], path)
    with pytest.raises(PermanentError, match="expected table `frames`"):
        read_table(FRAMES, path)
    with pytest.raises(PermanentError, match="magictalk run"):
        read_table(FRAMES, tmp_path / "none.parquet")


def test_writer_settings_keep_wide_tables_fast(tmp_path: Path) -> None:
    write_table(FRAMES, frames(100), tmp_path / "a.parquet")
    meta = pq.read_metadata(tmp_path / "a.parquet")
    column = meta.row_group(0).column(list(FRAMES.names).index("jawOpen"))
    assert meta.num_row_groups == 1
    assert column.compression == "ZSTD" and set(column.encodings) <= {"PLAIN", "RLE"}


def test_every_column_says_what_it_means() -> None:
    for spec in TABLES.values():
        assert spec.sort_by and set(spec.sort_by) <= set(spec.names)
        assert all(column.description for column in spec.columns)
    assert set(MOTION_NAMES) < set(FRAMES.names) and set(MOTION_NAMES) < set(MOTION.names)
    assert {"status", "reason", "raw_md5", "split"} < set(CLIPS.names)


def test_the_docs_page_is_the_generated_one() -> None:
    page = Path(__file__).parents[1] / "docs" / "tables.md"
    assert page.read_text(encoding="utf-8") == tables_page()
