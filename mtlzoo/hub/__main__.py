"""Writes `index.json` of a folder of bundles anew: `python -m mtlzoo.hub [MODELS]`."""

import sys

from mtlzoo.hub import write_index

path = write_index(sys.argv[1] if len(sys.argv) > 1 else "models")
sys.stdout.write(f"{path}\n")
