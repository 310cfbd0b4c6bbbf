"""Trained models that come with the package, and where they lie."""
