"""What every room shares: errors, files that appear whole, the pixel grid, compiled functions, words on stderr."""
