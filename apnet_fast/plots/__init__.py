"""Draw figures of catalogues. This needs matplotlib (the extra `plots`) and never touches pyplot or its state."""
