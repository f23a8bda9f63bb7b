"""Validation of catalogues: errors against repeated visits, and one catalogue against another."""
