"""Dagster assets and checks by stage: thin, no algorithm."""

import warnings

from dagster import BetaWarning, PreviewWarning

# Observable source assets are beta in name only for years; the warning would stand above every command's output.
warnings.filterwarnings("ignore", category=BetaWarning)
# Partitioned checks are in preview: a test holds that an evaluation keeps its partition.
warnings.filterwarnings("ignore", category=PreviewWarning)
