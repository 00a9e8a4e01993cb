"""The command line: `mtlzoo demo | list | show | train | evaluate | compare | export |
serve`.

Data goes to standard output, as a table or with `--json` as JSON; everything else goes
to standard error. `list`, `show` and every `--help` answer without loading TensorFlow:
command modules import what they need inside their functions.
"""

from mtlzoo.cli._main import main

__all__ = ["main"]
