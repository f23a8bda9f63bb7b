"""The physics of simulated spectra: model atmosphere, line formation and synthesis."""
