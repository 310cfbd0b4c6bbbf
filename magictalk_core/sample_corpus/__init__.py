"""The project's own sample corpus: synthetic speech, known motion curves, animated variants of one portrait."""
