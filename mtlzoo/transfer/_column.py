from pathlib import Path
from typing import Any

import numpy as np


class Column:
    """A column of features or labels on its way to the disk, batch by batch.

    A row takes as many bytes as any other. Where batches are of different lengths, as
    those of texts are, all are filled with zeros up to the longest, once it is known.

    Args:
        path: of the file to write.

    Attributes:
        shapes: of a row, one for each different shape among the batches.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._batches: list[tuple[int, ...]] = []
        self._dtype = np.dtype("float32")

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return list(dict.fromkeys(shape[1:] for shape in self._batches))

    def append(self, array: Any) -> None:
        """Write the rows of a batch."""
        self._dtype = array.dtype
        self._batches.append(array.shape)
        self._file.write(np.ascontiguousarray(array).tobytes())

    def close(self) -> None:
        self._file.close()

    def finish(self) -> dict[str, Any]:
        """Give all rows one shape, and return what the manifest says of the column."""
        self.close()
        longest = np.max(self.shapes, axis=0).tolist() if self.shapes else []
        if len(self.shapes) > 1:
            short = self._path.rename(self._path.with_suffix(".short"))
            with short.open("rb") as source, self._path.open("wb") as file:
                for shape in self._batches:
                    rows = np.fromfile(source, self._dtype, int(np.prod(shape)))
                    ends = [
                        (0, there - size)
                        for size, there in zip(shape[1:], longest, strict=True)
                    ]
                    padded = np.pad(rows.reshape(shape), [(0, 0), *ends])
                    file.write(padded.tobytes())
            short.unlink()
        return {"dtype": self._dtype.str, "shape": longest}
