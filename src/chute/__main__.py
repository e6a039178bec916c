"""`python -m chute` is `chute`."""

from chute.cli import main

main()
