"""What servers, networks, disks and other processes do: nothing half is ever loaded."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from bundles import made
from bundles.server import serving

import mtlzoo
from mtlzoo import _bundles
from mtlzoo._bundles import _download, _home
from mtlzoo.errors import BundleError, DownloadError, UnknownNameError

NAME = "mmoe.table"
WEIGHTS = "shared.safetensors"
LOCATE = "import sys; from mtlzoo import _bundles; print(_bundles.locate(sys.argv[1]))"


@pytest.fixture
def server(zoo):
    with serving(zoo) as server:
        yield server


@pytest.fixture
def remote(zoo, server, tmp_path, monkeypatch):
    """Let the index be the project's own, and the bundles be on a server alone."""
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(zoo / "index.json", own)
    monkeypatch.setattr(_home, "project_models", lambda: own)
    monkeypatch.setenv("MTLZOO_MIRRORS", server.url)
    monkeypatch.setattr(_download, "WAITS", (0.0, 0.0))
    return server


def cached_files():
    return {path.name for path in _home.cache().rglob("*") if path.is_file()}


def locate_elsewhere(server, **environment):
    """Start a process of its own that locates the bundle; it needs no TensorFlow."""
    code = (
        "from pathlib import Path\n"
        "from mtlzoo._bundles import _home\n"
        f"_home.project_models = lambda: Path({str(_home.project_models())!r})\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code + LOCATE, NAME],
        env={**os.environ, "MTLZOO_MIRRORS": server.url, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestSound:
    def test_fetched_once(self, remote):
        model = mtlzoo.load(NAME, check_golden=True)
        assert set(model.output) == {"click", "color"}
        asked = [path.rpartition("/")[2] for path in remote.requests]
        assert "card.md" not in asked
        assert len(asked) == len(set(asked)) == 6
        remote.requests.clear()
        _bundles.locate(NAME)
        assert remote.requests == []
        _bundles.locate(NAME, everything=True)
        assert remote.requests == [f"/{NAME}/1/card.md"]

    def test_base_is_fetched_too(self, remote):
        mtlzoo.load("cat.resnet", check_golden=True)
        assert "/resnet.photos/1/shared.safetensors" in remote.requests

    def test_damaged_in_the_cache(self, remote):
        folder = _bundles.locate(NAME)
        (folder / WEIGHTS).write_bytes(b"half")
        _bundles.locate(NAME)
        assert remote.requests[-1].endswith(WEIGHTS)
        made.build(_bundles.Bundle(folder))

    def test_mirrors_in_order(self, remote, zoo, tmp_path, monkeypatch):
        with serving(tmp_path / "own") as empty:
            dead = "http://127.0.0.1:9"
            monkeypatch.setenv("MTLZOO_MIRRORS", f"{dead} {empty.url}, {remote.url}/")
            _bundles.locate(NAME)
        assert len(empty.requests) == len(remote.requests) == 6

    def test_private_by_header(self, remote, monkeypatch):
        remote.header = ("Authorization", "Bearer secret")
        with pytest.raises(DownloadError, match=r"401 .*~/.netrc, or a header in MTLZ"):
            _bundles.locate(NAME)
        assert len(remote.requests) == 1
        monkeypatch.setenv("MTLZOO_HEADER", "Authorization: Bearer secret")
        _bundles.locate(NAME)
        monkeypatch.setenv("MTLZOO_HEADER", "secret")
        shutil.rmtree(_home.cache())
        with pytest.raises(DownloadError, match="must be one header, such as"):
            _bundles.locate(NAME)

    def test_private_by_netrc(self, remote, tmp_path, monkeypatch):
        remote.header = ("Authorization", "Basic bWU6c2VjcmV0")
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        _bundles.locate(NAME)

    def test_name_that_only_a_mirror_knows(self, remote, tmp_path, monkeypatch):
        monkeypatch.setattr(_home, "project_models", lambda: tmp_path / "nothing")
        assert mtlzoo.list_pretrained() == []
        _bundles.locate(NAME)
        assert NAME in mtlzoo.list_pretrained()
        monkeypatch.setenv("MTLZOO_OFFLINE", "1")
        _bundles.locate(NAME)
        with pytest.raises(UnknownNameError, match=r"no bundle 'x\.y'"):
            _bundles.locate("x.y")

    def test_index_of_a_mirror_that_is_none(self, remote, monkeypatch, tmp_path):
        monkeypatch.setattr(_home, "project_models", lambda: tmp_path / "nothing")
        remote.faults["index.json"] = ["endless"]
        monkeypatch.setattr(_bundles._locate, "LIMIT", 10**6)
        with pytest.raises(DownloadError, match="has more than 1,000,000 bytes"):
            _bundles.locate(NAME)
        remote.faults["index.json"] = ["truncate"]
        with pytest.raises((BundleError, UnknownNameError)):
            _bundles.locate(NAME)


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "message", "requests"),
        [
            ("truncate", "the connection failed or broke", 3),
            ("corrupt", "not the published file: its sha256 isn't", 3),
            (404, "404 Not Found", 1),
            (503, "503 Service Unavailable", 3),
            ("hang", "no answer within 0.3 seconds", 3),
            ("slow", "the connection failed or broke|no answer within", 3),
            ("endless", "longer than the published file, which has", 1),
        ],
    )
    def test_nothing_half_written(self, remote, fault, message, requests, monkeypatch):
        monkeypatch.setattr(_download, "TIMEOUT", 0.3)
        remote.faults[WEIGHTS] = [fault]
        with pytest.raises(DownloadError, match=message) as caught:
            mtlzoo.load(NAME)
        assert "Check MTLZOO_MIRRORS and the network" in str(caught.value)
        assert len([one for one in remote.requests if WEIGHTS in one]) == requests
        assert WEIGHTS not in cached_files()
        assert not [name for name in cached_files() if name.startswith("tmp")]
        remote.faults.clear()
        _bundles.find(NAME).weights()

    def test_server_that_recovers(self, remote):
        remote.faults[WEIGHTS] = [503, "truncate", "ok"]
        _bundles.find(NAME).weights()

    def test_manifest(self, remote):
        remote.faults["bundle.json"] = ["corrupt"]
        with pytest.raises(DownloadError, match="not the published file"):
            _bundles.locate(NAME)

    def test_no_mirror(self, remote, monkeypatch):
        monkeypatch.delenv("MTLZOO_MIRRORS")
        with pytest.raises(DownloadError, match="does not come with this installation"):
            _bundles.locate(NAME)
        monkeypatch.setenv("MTLZOO_MIRRORS", "ftp://example.org")
        with pytest.raises(DownloadError, match="that begin with https:// or http://"):
            _bundles.locate(NAME)


class TestOffline:
    def test_from_the_cache(self, remote, monkeypatch):
        _bundles.locate(NAME)
        monkeypatch.setenv("MTLZOO_OFFLINE", "1")
        remote.requests.clear()
        _bundles.locate(NAME)
        assert remote.requests == []

    def test_without(self, remote, monkeypatch):
        monkeypatch.setenv("MTLZOO_OFFLINE", "1")
        with pytest.raises(DownloadError, match="mtlzoo fetch NAME --to DIR, and"):
            _bundles.locate(NAME)
        assert remote.requests == []


class TestProcesses:
    def test_killed(self, remote):
        remote.faults[WEIGHTS] = ["slow"]
        process = locate_elsewhere(remote)
        deadline = time.monotonic() + 60
        while not any(WEIGHTS in path for path in remote.requests):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.2)  # a third of the file arrives, and no more
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert WEIGHTS not in cached_files()
        (orphan,) = _bundles.unneeded(age=0)
        assert orphan.name.startswith("tmp")
        remote.faults.clear()
        _bundles.find(NAME).weights()
        _bundles.remove(orphan)
        assert _bundles.unneeded(age=0) == []

    def test_eight_at_once(self, remote):
        processes = [locate_elsewhere(remote) for _ in range(8)]
        answers = [process.communicate() for process in processes]
        assert [process.returncode for process in processes] == [0] * 8, answers
        assert len({out for out, _ in answers}) == 1
        _bundles.Bundle(_bundles.locate(NAME)).weights()
        assert _bundles.unneeded(age=0) == []


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """Return what mounts a small disk as the cache, with options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", folder]
        if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs to be root, and to be allowed to mount")
        monkeypatch.setenv("MTLZOO_HOME", str(folder))

    yield mount
    subprocess.run(["umount", folder], capture_output=True)


class TestDisks:
    def test_full(self, remote, disk):
        disk("size=24k")
        with pytest.raises(DownloadError, match=r"is full: .* Make room \(mtlzoo"):
            mtlzoo.load(NAME)
        names = cached_files()
        assert "bundle.json" in names
        assert not [name for name in names if name.startswith("tmp")]

    def test_full_halfway(self, remote, disk, monkeypatch):
        """The disk has room when the download begins, and none when it goes on."""
        disk("size=24k")
        usage = shutil._ntuple_diskusage(10**9, 0, 10**9)
        monkeypatch.setattr(_download.shutil, "disk_usage", lambda path: usage)
        with pytest.raises(DownloadError, match="is full"):
            mtlzoo.load(NAME)
        assert not [name for name in cached_files() if name.startswith("tmp")]

    def test_read_only(self, remote, disk):
        disk("size=4m")
        _bundles.locate(NAME)
        disk("remount", "ro")
        _bundles.find(NAME).weights()
        with pytest.raises(DownloadError, match=r"Can't write .*Read-only file system"):
            _bundles.locate("cat.resnet")
