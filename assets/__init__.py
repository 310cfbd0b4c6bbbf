"""Dagster assets and checks by stage: thin, no algorithm."""

import warnings

from dagster import BetaWarning

# Observable source assets are beta in name only for years; the warning would stand above every command's output.
warnings.filterwarnings("ignore", category=BetaWarning)
