"""Tiers of `python -m benchmarks.run`: a module each, which offers
`measure(folder, repeats, stars) -> list[Result]`."""
