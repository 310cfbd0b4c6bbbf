"""Faces: ARKit names, detection, landmarks, trackers, and per-frame blendshape extraction."""
