"""magictalk_core: the library behind the MagicTalk pipeline.

It knows nothing of Dagster, of an MLflow server or of a DVC repository, and every part of it is usable alone.
"""

__version__ = "0.1.0"
