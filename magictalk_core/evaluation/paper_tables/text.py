"""A sheet as Markdown and as LaTeX (booktabs). Empty cells lead to a note that says why."""

from __future__ import annotations

from itertools import groupby
from string import ascii_lowercase

from magictalk_core.evaluation.paper_tables.sheet import Column, Number, Row, Sheet, how_measured, reasons_of
from magictalk_core.storage.markdown import escaped, markdown_table

__all__ = ["cell_text", "latex_of", "markdown_of", "note_mark"]

_PRINTED = "Printed rows are the paper's own numbers: other data, crops and weights, so not to be compared with ours."
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "✓": r"\checkmark", "✗": r"$\times$", "–": "--", "±": r"$\pm$",
    "≥": r"$\geq$", "≤": r"$\leq$",
}  # fmt: skip


def note_mark(number: int) -> str:
    """a, b, ... z, aa, ab."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, len(ascii_lowercase))
        letters = ascii_lowercase[rest] + letters
    return letters


def cell_text(number: Number | None, column: Column) -> str:
    """The value with its interval, a tick, or a dash; nothing where a method has no such number."""
    if number is None:
        return ""
    if number.value is None:
        return "–"
    if column.is_tick:
        return "✓" if number.value >= 0.5 else "✗"
    shown = f"{number.value:.{column.decimals}f}"
    if number.low is None or number.high is None:
        return shown
    return f"{shown} [{number.low:.{column.decimals}f}, {number.high:.{column.decimals}f}]"


def _marked(row: Row, column: Column, marks: dict[str, str], raised: str) -> str:
    number = row.numbers.get(column.metric)
    text = cell_text(number, column)
    if number is not None and number.value is None and number.reason in marks:
        return text + raised.format(marks[number.reason])
    return text


def _marks(sheet: Sheet) -> dict[str, str]:
    return {reason: note_mark(i) for i, reason in enumerate(reasons_of(sheet))}


def _notes(sheet: Sheet) -> list[str]:
    printed = [_PRINTED] if any(row.is_printed for row in sheet.rows) else []
    return [*sheet.notes, *printed, *how_measured(sheet)]


def markdown_of(sheet: Sheet) -> str:
    """The title, one table per block, and the notes."""
    marks = _marks(sheet)
    lines = [f"# {escaped(sheet.title)}", ""]
    for block, rows in groupby(sheet.rows, key=lambda row: row.block):
        own = list(rows)
        shown = [c for c in sheet.columns if any(c.metric in row.numbers for row in own)]
        heads = ["", *(f"{c.title} {c.arrow}".strip() for c in shown)]
        cells = [[row.title, *(_marked(row, c, marks, " ({})") for c in shown)] for row in own]
        lines += [f"**{escaped(block)}**", "", *markdown_table(heads, cells), ""]
    lines += [f"- ({mark}) {escaped(reason)}" for reason, mark in marks.items()]
    lines += [f"- {escaped(note)}" for note in _notes(sheet)]
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))


def latex_of(sheet: Sheet) -> str:
    """A `table` for `\\usepackage{booktabs,amssymb}`; the notes stand below it as a paragraph."""
    marks = _marks(sheet)
    columns = sheet.columns
    lines = [
        "% needs \\usepackage{booktabs} and \\usepackage{amssymb}",
        "\\begin{table}",
        "\\centering\\small",
        f"\\caption{{{_tex(sheet.title)}}}",
        f"\\label{{tab:{sheet.name}}}",
        f"\\begin{{tabular}}{{l{'r' * len(columns)}}}",
        "\\toprule",
        " & ".join(["", *(_tex(f"{c.title} {c.arrow}".strip()) for c in columns)]) + r" \\",
    ]
    for block, rows in groupby(sheet.rows, key=lambda row: row.block):
        lines += ["\\midrule", f"\\multicolumn{{{len(columns) + 1}}}{{l}}{{\\emph{{{_tex(block)}}}}} " + r"\\"]
        for row in rows:
            cells = []
            for column in columns:
                number = row.numbers.get(column.metric)
                text = _tex(cell_text(number, column))
                if number is not None and number.value is None and number.reason in marks:
                    text += f"$^{{{marks[number.reason]}}}$"
                cells.append(text)
            lines.append(" & ".join([_tex(row.title), *cells]) + r" \\")
    lines += ["\\bottomrule", "\\end{tabular}", "", "\\par\\footnotesize"]
    lines += [f"$^{{{mark}}}$ {_tex(reason)}\\\\" for reason, mark in marks.items()]
    lines += [f"{_tex(note)}\\\\" for note in _notes(sheet)]
    return "\n".join([*lines, "\\end{table}", ""])
