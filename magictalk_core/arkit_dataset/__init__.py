"""The publishable dataset of per-frame ARKit blendshapes: its files, statistics, checks and card."""
