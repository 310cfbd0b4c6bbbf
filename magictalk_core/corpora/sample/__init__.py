"""The project's own sample corpus: synthetic speech it ships, known motion curves, animated variants of one portrait."""
