import io
from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class LoadReport:
    """What a model got from a bundle, and what it did not.

    Attributes:
        name: of the bundle.
        version: of it.
        base: the bundle that it stands on, as `name version`, if any.
        loaded: parts that have the published weights: `shared`, `heads.<task>`.
        replaced: heads that were published, each with the new task in its place.
        left_out: heads that were published and aren't in the model.
    """

    name: str
    version: int
    base: str | None
    loaded: tuple[str, ...]
    replaced: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = io.StringIO()
        text.write(f"{self.name}, version {self.version}")
        text.write(f", on {self.base}\n" if self.base else "\n")
        text.write(f"  loaded    {', '.join(self.loaded)}\n")
        if self.replaced:
            pairs = (f"{old} by {new} (untrained)" for old, new in self.replaced)
            text.write(f"  replaced  {', '.join(pairs)}\n")
        if self.left_out:
            text.write(f"  left out  {', '.join(self.left_out)}\n")
        return text.getvalue().rstrip()

    __repr__ = __str__
