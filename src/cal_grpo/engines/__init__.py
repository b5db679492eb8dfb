"""Who trains? One folder an engine; the core hands each of them the same (B, T) advantages."""
