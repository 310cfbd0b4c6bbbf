"""Networks of others that judge pictures, in torch of our own: what the picture metrics stand on.

Each loads the published weight file, named in `weights/manifest.py`, and is checked against another implementation.
All run in eval mode, in float32 and in batches, and take uint8 RGB frames.
"""
