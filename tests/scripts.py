"""Scripts beside tests, for what needs a process of its own."""

import os
import subprocess
import sys
from pathlib import Path


def lines_of(name, test):
    """Run the script `name` beside the file of a test; return what it prints."""
    script = Path(test).with_name(name)
    paths = [str(script.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()
