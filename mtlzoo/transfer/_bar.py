from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn


def bar(unit: str, *, shown: bool) -> Progress:
    """Return a progress bar on standard error, to be used in a `with` block.

    Args:
        unit: what it counts, such as `"batches"`.
        shown: whether it is drawn at all.
    """
    return Progress(
        "{task.description}",
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        unit,
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=Console(stderr=True),
        disable=not shown,
    )
