"""Third-party weights: what each file is, where it comes from, and how it is found and checked."""
