"""Seeds for the streams of random numbers that one run's seed stands for."""

import hashlib


def stream(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2^63) for one purpose, unrelated to the seeds for other purposes."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
