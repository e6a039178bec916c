"""`python -m chute` is `chute`."""

from chute.cli.commands import main

main()
