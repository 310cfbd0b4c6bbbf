"""Scores of generated motion against the tracked motion of the real clip.

One metric per file, pure numpy functions over motions of shape (frames, 58) in `MOTION_NAMES` order; `catalogue`
names every metric with its unit, meaning and direction, `table` turns a clip into rows and rows into a summary.
"""
