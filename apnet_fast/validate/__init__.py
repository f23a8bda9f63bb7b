"""Validate catalogues: test errors on repeated visits, and compare one catalogue with another."""
