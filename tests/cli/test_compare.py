import json

import pytest
from click.testing import CliRunner

from mtlzoo.cli import main
from mtlzoo.cli._cells import leave_out, make_cells
from mtlzoo.cli._comparison import markdown, summarise
from mtlzoo.cli._settings import Settings
from mtlzoo.errors import TaskError

ARGUMENTS = [
    "compare",
    "synthetic",
    "--architectures",
    "shared_*tom",
    "--seeds",
    "2",
    "--epochs",
    "1",
    "-d",
    "num_samples=200",
]


def run(folder, *more):
    return CliRunner().invoke(main, [*ARGUMENTS, "--output", str(folder), *more])


def record(architecture, seed, values, balancing="equal"):
    return {
        "settings": {
            "architecture": architecture,
            "balancing": balancing,
            "seed": seed,
        },
        "headlines": {"a": ["auc", True], "b": ["mae", False]},
        "test": {"a_auc": values[0], "b_mae": values[1]},
        "parameters": 10,
        "flops": 2_000_000,
        "step_seconds": 0.5 if architecture == "single_task" else 0.25,
    }


def test_summary_by_hand():
    rows = summarise(
        [
            record("single_task", 0, (0.8, 2.0)),
            record("single_task", 1, (0.8, 2.0)),
            record("mmoe", 0, (0.88, 2.2), "pcgrad"),
            record("mmoe", 1, (0.88, 1.8), "pcgrad"),
        ]
    )
    baseline, mmoe = rows
    assert (baseline["name"], mmoe["name"]) == ("single_task", "mmoe + pcgrad")
    assert baseline["delta_m"] == [0.0, 0.0]
    # Seed 0: 10 % better and 10 % worse; seed 1: 10 % better twice.
    assert mmoe["delta_m"] == pytest.approx([-5.0, 50**0.5])
    assert mmoe["metrics"]["b_mae"] == pytest.approx([2.0, 0.08**0.5])
    assert mmoe["mean_rank"] == 1.25  # first in one metric, tied in the other
    assert baseline["mean_rank"] == 1.75
    assert (mmoe["step_seconds"], mmoe["step_ratio"]) == (0.25, 0.5)
    page = markdown(rows, "mtlzoo compare x")
    assert "mmoe + pcgrad | 0.8800\u00a0±\u00a00.0000" in page
    assert "| 2.00 | 250.0 | 0.50 |" in page
    assert "```bash\nmtlzoo compare x\n```" in page


def test_runs_and_goes_on_where_it_stopped(tmp_path):
    first = run(tmp_path, "--json")
    assert first.exit_code == 0, first.output
    rows = json.loads(first.stdout)
    assert [row["name"] for row in rows] == ["single_task", "shared_bottom"]
    assert all(row["seeds"] == 2 and row["flops"] > 0 for row in rows)
    assert json.loads((tmp_path / "results.json").read_text()) == rows
    assert "| shared_bottom |" in (tmp_path / "results.md").read_text()

    files = sorted((tmp_path / "runs").glob("*.json"))
    assert len(files) == 4
    kept = {path: path.stat().st_mtime_ns for path in files[1:]}
    files[0].unlink()
    (tmp_path / "runs/other.tmp").write_text("half of a run that was killed")
    again = run(tmp_path)
    assert again.exit_code == 0, again.output
    # Where the output is no terminal, the last columns are there all the same.
    heading = next(line for line in again.stdout.splitlines() if "delta_m" in line)
    assert heading.split()[-1] == "step"
    assert {path: path.stat().st_mtime_ns for path in files[1:]} == kept
    # Seeds fix the result, so the run that was made anew gives the same numbers.
    repeated = json.loads((tmp_path / "results.json").read_text())
    assert repeated[1]["metrics"]["y1_mae"] == pytest.approx(
        rows[1]["metrics"]["y1_mae"], rel=1e-4
    )

    other = run(tmp_path, "--batch-size", "64")
    assert other.exit_code == 1
    assert "holds a run with other settings" in other.output


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (("--architectures", "shard_bottom"), "Did you mean 'shared_bottom'"),
        (("--balancing", "pcgrd"), "Did you mean 'pcgrad'"),
        (("-o", "shared_bottom.width=3"), "no option of the architecture"),
    ],
)
def test_refuses(tmp_path, more, match):
    result = run(tmp_path, *more)
    assert result.exit_code == 1
    assert match in result.output


def test_architectures_that_do_not_take_the_data(tmp_path, capsys):
    """A wildcard leaves them out; one that is named is refused before any training."""
    base = Settings("synthetic", "single_task", dataset_options={"num_samples": 200})
    cells = make_cells(base, ["esmm", "mtan", "shared_bottom"], ["equal"], seeds=2)
    left = leave_out(cells, tmp_path, named=["*"])
    assert {one.architecture for one in left} == {"single_task", "shared_bottom"}
    assert len(left) == 4
    assert (
        "Left out mtan: The architecture 'mtan' needs a trunk"
        in capsys.readouterr().err
    )
    with pytest.raises(TaskError, match="'esmm' takes two Binary tasks"):
        leave_out(cells, tmp_path, named=["esmm", "mtan"])


def test_a_funnel_is_left_out_where_the_labels_are_none(tmp_path, capsys):
    cells = make_cells(Settings("adult", "single_task"), ["esmm"], ["equal"], seeds=1)
    left = leave_out(cells, tmp_path, named=["*"])
    assert {one.architecture for one in left} == {"single_task"}
    assert "Left out esmm: Labels of task 'never_married' must imply" in (
        capsys.readouterr().err
    )
