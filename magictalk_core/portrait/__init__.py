"""Portraits: animating a still picture, labelling what was made, and comparison videos."""
