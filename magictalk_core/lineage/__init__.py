"""What was made from what: asked of the provenance records alone, offline."""
