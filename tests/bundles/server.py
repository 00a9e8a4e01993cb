"""A web server on this machine that serves a folder, and fails as it is told."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path


class Server:
    """Serves a folder.

    `faults` maps the end of a path to what happens at each request of it, in order; the
    last one stays. They are "truncate", "corrupt", "endless", "hang", "slow", a status
    such as 404, or "ok".
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: dict[str, list] = {}
        self.header: tuple[str, str] | None = None
        self.requests: list[str] = []
        self.ended = threading.Event()
        self.url = ""

    def fault(self, path):
        for end, faults in self.faults.items():
            if path.endswith(end):
                return faults.pop(0) if len(faults) > 1 else faults[0]
        return "ok"


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    server = Server(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            server.requests.append(self.path)
            fault = server.fault(self.path)
            path = folder / self.path.lstrip("/")
            if server.header and self.headers.get(server.header[0]) != server.header[1]:
                fault = 401
            if fault == "ok" and not path.is_file():
                fault = 404
            if fault == "hang":
                server.ended.wait()
                return
            if isinstance(fault, int):
                self.send_response(fault)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.answer(path.read_bytes(), fault)

        def answer(self, content, fault):
            if fault == "corrupt":
                content = content[:-1] + bytes([content[-1] ^ 1])
            self.send_response(200)
            if fault == "endless":
                self.send_header("Connection", "close")
                self.end_headers()
                with contextlib.suppress(OSError):
                    while not server.ended.is_set():
                        self.wfile.write(b"\0" * 2**16)
                return
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if fault == "slow":
                self.wfile.write(content[: len(content) // 3])
                self.wfile.flush()
                server.ended.wait()
                return
            if fault == "truncate":
                content = content[: len(content) // 3]
                self.close_connection = True
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one:
        one.daemon_threads = True
        server.url = f"http://127.0.0.1:{one.server_port}"
        thread = threading.Thread(target=one.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            one.shutdown()
            thread.join()
