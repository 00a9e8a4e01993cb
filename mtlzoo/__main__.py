"""`python -m mtlzoo` is `mtlzoo`."""

from mtlzoo.cli import main

main(prog_name="mtlzoo")
