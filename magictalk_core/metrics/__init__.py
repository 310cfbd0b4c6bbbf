"""Scores of generated motion against the tracked motion of the real clip.

One metric per file: pure functions of arrays, most over motions of shape (frames, 58) in `MOTION_NAMES` order. Nothing
here knows workspaces, tables or models; only the emotion classifier can be written to a file and read. `catalogue`
names every metric with its unit, meaning and direction. `evaluation` calls all this and makes the rows.
"""
