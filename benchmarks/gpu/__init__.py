"""A measurement on one GPU, in parts: README.md."""
