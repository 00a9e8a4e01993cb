"""Bundles on the Hugging Face Hub, against a server here that speaks its protocol."""

import contextlib
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import mtlzoo
from mtlzoo.errors import BundleError

pytest.importorskip("huggingface_hub", reason='it comes with: pip install "mtlzoo[hf]"')

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOCATE = "import sys; from mtlzoo import _bundles; print(_bundles.locate(sys.argv[1]))"


def tree(folder):
    """Return the files of a repository as the hub lists them."""
    return [
        {
            "type": "file",
            "path": str(path.relative_to(folder)),
            "size": path.stat().st_size,
            "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


@contextlib.contextmanager
def hub_of(folder, repo="org/zoo", revision="v1"):
    """Serve the files of `folder` as those of one repository; give its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            path = self.path.partition("?")[0]
            facts = {
                f"/api/models/{repo}/revision/{revision}": {"id": repo, "sha": COMMIT},
                f"/api/models/{repo}/tree/{COMMIT}": tree(folder),
            }
            if path in facts:
                self.reply(200, json.dumps(facts[path]).encode(), body)
                return
            file = folder / path.removeprefix(f"/{repo}/resolve/{COMMIT}/")
            if path.startswith(f"/{repo}/resolve/") and file.is_file():
                self.reply(200, file.read_bytes(), body)
            else:
                self.reply(404, b"", body)

        def reply(self, status, content, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def locate(name, address, home, **environment):
    """Locate a bundle in a process of its own, whose library reads the address once."""
    return subprocess.run(
        [sys.executable, "-c", LOCATE, name],
        env={
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_HOME": str(home / "hf"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "MTLZOO_HOME": str(home),
            **environment,
        },
        capture_output=True,
        text=True,
    )


def test_repository_and_folder(published, tmp_path):
    """The newest version there, the bundle in a folder, and later without a network."""
    with hub_of(published) as address:
        name = "hf://org/zoo/mmoe.table@v1"
        first = locate(name, address, tmp_path)
        assert first.returncode == 0, first.stderr
        folder = tmp_path / "hf" / "org" / "zoo" / "v1" / "mmoe.table" / "1"
        assert first.stdout.strip() == str(folder)
        assert (folder / "shared.safetensors").is_file()
        assert not (folder.parent.parent / "index.json").exists()
    again = locate(name, "http://127.0.0.1:9", tmp_path, MTLZOO_OFFLINE="1")
    assert again.stdout.strip() == str(folder), again.stderr


def test_altered_file_is_refused(published, tmp_path):
    """The library checks no hash; the manifest does, when the bundle is read."""
    with hub_of(published) as address:
        found = locate("hf://org/zoo/mmoe.table@v1", address, tmp_path)
    folder = found.stdout.strip()
    with open(f"{folder}/shared.safetensors", "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    with pytest.raises(BundleError, match="is not the file that was published"):
        mtlzoo.load(Path(folder))


def test_not_there(published, tmp_path):
    with hub_of(published) as address:
        found = locate("hf://org/nothing@v1", address, tmp_path)
    assert "DownloadError: hf://org/nothing@v1 can't be had" in found.stderr
