"""The HTML report of a run: what went in, what came out, how good it is, and where to look further.

`model` holds the records a report is made from, `funnel` computes the data funnel from the clips table, `plots` draws
inline SVG, `report` writes one self-contained file. Equal inputs give equal bytes.
"""
