"""Train networks: labelled apStar spectra in, a weights file out. `python -m apnet_fast.train`, `train`."""
