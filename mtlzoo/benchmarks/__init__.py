"""Benchmarks that anyone can run: `python -m mtlzoo.benchmarks NAME`.

Each is a module `_<name>.py` with a function `run() -> str` that measures and returns a
Markdown report. Speed is reported as ratios within one run, since machines differ.
"""

__all__: list[str] = []
