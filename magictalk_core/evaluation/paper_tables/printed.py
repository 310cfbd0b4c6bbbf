"""The numbers as the paper prints them (MagicTalk, section 4): shown beside ours, marked as printed, never compared.

The paper states neither size, crop, split nor number of clips for any of them. Emotion accuracy and the confidence
without separated mouth stand in the text of section 4.3, everything else in Tables 1 to 4.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PRINTED", "PRINTED_TICKS", "PROPERTIES", "Printed", "printed_in"]

OURS = "Ours (MagicTalk)"
_METRICS = ("lpips_alex", "cpbd", "lmd_px", "lse_d", "lse_c")


@dataclass(frozen=True)
class Printed:
    """One printed number: in which table, on which data (`block`), of whom (`row`)."""

    table: str
    block: str
    row: str
    metric: str
    value: float


def _table1() -> list[Printed]:
    rows: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
        "Ground Truth": ((0, 0.316, 0, 7.420, 7.486), (0, 0.303, 0, 7.413, 7.487)),
        "MakeItTalk": ((0.295, 0.213, 4.178, 10.151, 5.012), (0.289, 0.247, 5.026, 10.334, 4.823)),
        "SadTalker": ((0.189, 0.256, 3.960, 9.634, 6.095), (0.195, 0.269, 4.006, 9.958, 5.050)),
        "EAMM": ((0.295, 0.172, 6.053, 10.890, 4.328), (0.304, 0.161, 6.941, 10.686, 4.448)),
        "PD-FGC": ((0.315, 0.153, 6.325, 9.903, 5.832), (0.331, 0.148, 6.532, 9.754, 5.042)),
        OURS: ((0.169, 0.299, 3.845, 9.868, 5.915), (0.176, 0.280, 3.948, 9.233, 5.263)),
    }
    return [
        Printed("table1", block, row, metric, float(value))
        for row, blocks in rows.items()
        for block, values in zip(("MEAD", "HDTF"), blocks, strict=True)
        for metric, value in zip(_METRICS, values, strict=True)
    ]


def _table3() -> list[Printed]:
    rows = {"EAMM": (57, 101), "PD-FGC": (230, 146), "SadTalker": (762, 198), OURS: (641, 168)}
    names = ("gflops", "parameters_m")
    return [
        Printed("table3", "not stated", row, name, float(value))
        for row, values in rows.items()
        for name, value in zip(names, values, strict=True)
    ]


def _ablations() -> list[Printed]:
    lips = {"w/o lip refinement": (4.167, 10.583, 4.338), OURS: (3.927, 9.648, 5.507)}
    found = [
        Printed("table4", "not stated", row, metric, value)
        for row, values in lips.items()
        for metric, value in zip(("lmd_px", "lse_d", "lse_c"), values, strict=True)
    ]
    found += [
        Printed("ablations", "not stated", "w/o style embedding", "emotion_fan_accuracy", 0.4251),
        Printed("ablations", "not stated", OURS, "emotion_fan_accuracy", 0.6564),
        Printed("ablations", "not stated", "w/o mouth separation", "lse_c", 4.523),
        Printed("ablations", "not stated", OURS, "lse_c", 5.507),
    ]
    return found


PRINTED: tuple[Printed, ...] = (*_table1(), *_table3(), *_ablations())

PROPERTIES = ("emotional_talking", "eye_blinks", "identity_preserved")
"""The columns of Table 2."""

PRINTED_TICKS: dict[str, tuple[bool, bool, bool]] = {
    "MakeItTalk": (False, False, True),
    "SadTalker": (False, True, True),
    "EAMM": (True, False, False),
    "PD-FGC": (True, False, False),
    "EVP": (True, False, True),
    OURS: (True, True, True),
}
"""Table 2 as printed, in the order of `PROPERTIES`."""


def printed_in(table: str) -> list[Printed]:
    """The numbers of one table, in the paper's order."""
    return [one for one in PRINTED if one.table == table]
