"""What is installed: with the code, the data and the bundles."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def files(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_data_and_bundles_are_installed_with_the_code(tmp_path):
    library, info = tmp_path / "library", tmp_path / "info"
    info.mkdir()
    subprocess.run(
        [
            sys.executable,
            "setup.py",
            "--quiet",
            *("egg_info", "--egg-base", str(info)),
            *("build_py", "--build-lib", str(library)),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    found = files(library / "mtlzoo")
    bundles = {f"_models/{path}" for path in files(ROOT / "models")}
    # The licence is part of the metadata; results are for readers of the repository.
    elsewhere = {"LICENSE"}
    elsewhere |= {path for path in files(ROOT / "mtlzoo") if path.endswith(".md")}
    assert files(ROOT / "mtlzoo") - elsewhere <= found
    assert bundles <= found
    assert "datasets/data/adult.csv.xz" in found
