"""Tiers of `python -m benchmarks.run`. Each module offers `measure(folder, repeats, stars) -> list[Result]`."""
