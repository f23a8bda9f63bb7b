"""`python -m apnet_fast VERB`: the same as the console script."""

from apnet_fast.cli import main

main()
