"""`python -m transferlm` is the command line."""

from transferlm.cli import main

main()
