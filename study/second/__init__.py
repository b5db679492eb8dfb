"""The study's second part: is a verdict worth more than its place in a group? docs/study.md has the protocol."""
