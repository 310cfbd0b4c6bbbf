"""magictalk_core: the library behind the MagicTalk pipeline.

It knows nothing of Dagster, of an MLflow server or of a DVC repository, and every part of it is usable alone.
"""

import os

__version__ = "0.1.0"

# Read once, when torch is loaded. Threads of a small network wait for each other at every layer; by default they do so
# by spinning, which on a machine that others use too made a training ten times slower (decision 019).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
