"""The catalogues: columns, rows, and their FITS form."""
