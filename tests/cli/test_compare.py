import json

import pytest
from click.testing import CliRunner

import mtlzoo
from mtlzoo.cli import _cells, main
from mtlzoo.cli._cells import leave_out, make_cells
from mtlzoo.cli._comparison import cells as table_cells, markdown, summarise
from mtlzoo.cli._flops import forward_flops
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
    assert "over 2 seeds" in page
    assert "More is better: a auc. Less is better: b mae." in page
    for title in ("delta_m", "Mean rank", "MFLOPs a row", "Step"):
        assert f" {title}: " in page
    assert "n/a" not in page


def test_one_seed_has_no_spread():
    rows = summarise([record("single_task", 0, (0.8, 2.0))])
    assert rows[0]["metrics"]["a_auc"] == [0.8, None]
    page = markdown(rows, "mtlzoo compare x")
    assert "| single_task | 0.8000 | 2.0000 | +0.00 | 1.0 |" in page
    assert "One seed, whose deviation is not known: it ranks nothing." in page


def test_a_training_that_diverged_does_not_take_the_others_with_it():
    wild = record("mmoe", 0, (0.9, float("inf")))
    wild["step_seconds"] = 0.0  # of one step, which is that of compiling
    wild["flops"] = None
    rows = summarise(
        [
            record("single_task", 0, (0.8, 2.0)),
            record("ple", 0, (0.7, 2.1)),
            wild,
            record("mmoe", 1, (0.9, 1.0)),
        ]
    )
    json.dumps(rows, allow_nan=False)
    mmoe = rows[2]
    assert mmoe["metrics"]["a_auc"] == [0.9, 0.0]
    assert mmoe["metrics"]["b_mae"] == mmoe["delta_m"] == [None, None]
    assert [row["mean_rank"] for row in rows] == [1.5, 2.5, 2.0]
    assert table_cells(mmoe)[2:] == ["n/a", "n/a", "2.0", "10", "n/a", "125.0", "0.25"]
    page = markdown(rows, "mtlzoo compare x")
    assert "n/a: not known, since a training diverged" in page

    # Nothing is relative to a baseline of 0.
    rows = summarise(
        [record("single_task", 0, (0.8, 0.0)), record("ple", 0, (0.7, 2.0))]
    )
    assert [row["delta_m"] for row in rows] == [[None, None]] * 2


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
    heading = again.stdout.splitlines()[2]
    assert heading.split()[-1] == "single-task"
    assert "means that differ by less than their deviations rank" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in files[1:]} == kept
    # Seeds fix the result, so the run that was made anew gives the same numbers.
    repeated = json.loads((tmp_path / "results.json").read_text())
    assert repeated[1]["metrics"]["y1_mae"] == pytest.approx(
        rows[1]["metrics"]["y1_mae"], rel=1e-4
    )

    other = run(tmp_path, "--batch-size", "64")
    assert other.exit_code == 1
    assert "holds a run with other settings: batch_size=256, here 64." in other.output
    files[-1].write_text("{")
    broken = run(tmp_path)
    assert broken.exit_code == 1
    assert f"{files[-1].name} holds no run that can be read" in broken.output


def test_says_how_to_go_on_when_it_is_stopped(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_cells, "_run_one", stop)
    result = run(tmp_path)
    assert result.exit_code == 130
    assert f"are in {tmp_path}/runs; the same command goes on." in result.output


def test_a_folder_that_can_not_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = run(tmp_path / "file")
    assert result.exit_code == 1
    assert "Choose a folder that you may write in" in result.output


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (("--architectures", "shard_bottom"), "Did you mean 'shared_bottom'"),
        (("--balancing", "pcgrd"), "Did you mean 'pcgrad'"),
        (("-o", "shared_bottom.width=3"), "no option 'width' of the architecture"),
        (("-o", "width=3"), "compared: single_task, shared_bottom. Received: 'width'"),
        (("-o", "mmoe.num_experts=3"), "must be ARCHITECTURE.NAME=VALUE"),
        (("--learning-rate", "0"), "Invalid value for '--learning-rate'"),
        (("--seeds", "0"), "Invalid value for '--seeds'"),
    ],
)
def test_refuses(tmp_path, more, match):
    result = run(tmp_path, *more)
    assert result.exit_code != 0
    assert match in result.output
    assert not list(tmp_path.iterdir())


def test_operations_that_depend_on_the_row_are_not_counted(capsys):
    outputs = []
    for inputs in (mtlzoo.Text(vocabulary=["a", "b"]), (3,)):
        model = mtlzoo.build(
            "shared_bottom", inputs={"x": inputs}, tasks=[mtlzoo.tasks.Binary("y")]
        )
        outputs.append(forward_flops(model))
    assert outputs[0] is None
    assert outputs[1] > 0
    assert capsys.readouterr().err == ""


def test_architectures_that_do_not_take_the_data(tmp_path, capsys):
    """A wildcard leaves them out; one that is named is refused before any training."""
    base = Settings("synthetic", "single_task", dataset_options={"num_samples": 200})
    cells = make_cells(base, ["esmm", "mtan", "shared_bottom"], ["equal"], seeds=2)
    left = leave_out(cells, tmp_path, ["*"], ["equal"])
    assert {one.architecture for one in left} == {"single_task", "shared_bottom"}
    assert len(left) == 4
    assert (
        "Left out mtan: The architecture 'mtan' needs a trunk"
        in capsys.readouterr().err
    )
    with pytest.raises(TaskError, match="'esmm' takes two Binary tasks"):
        leave_out(cells, tmp_path, ["esmm", "mtan"], ["equal"])


def test_architectures_that_share_nothing_to_balance(tmp_path, capsys):
    """Pairs that don't go together are found before any training as well."""
    base = Settings("synthetic", "single_task", dataset_options={"num_samples": 200})
    names = ["trace_norm", "shared_bottom"]
    cells = make_cells(base, names, ["mgda", "uncertainty", "equal"], seeds=1)
    for named in ((names, ["*", "equal"]), (["*"], ["mgda", "equal"])):
        left = leave_out(cells, tmp_path, *named)
        assert [one for one in cells if one not in left] == [cells[1]]
        assert "Left out trace_norm + mgda: MGDA combines" in capsys.readouterr().err
    with pytest.raises(TaskError, match="the tasks of this model share no variable"):
        leave_out(cells, tmp_path, names, ["mgda"])


def test_a_funnel_is_left_out_where_the_labels_are_none(tmp_path, capsys):
    cells = make_cells(Settings("adult", "single_task"), ["esmm"], ["equal"], seeds=1)
    left = leave_out(cells, tmp_path, ["*"], ["equal"])
    assert {one.architecture for one in left} == {"single_task"}
    assert "Left out esmm: Labels of task 'never_married' must imply" in (
        capsys.readouterr().err
    )
