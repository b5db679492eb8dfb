"""Which credit teaches fastest? Two instruments on the small fast engine; ``docs/study.md`` has the protocol."""
