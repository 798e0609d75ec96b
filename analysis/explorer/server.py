"""Serve the page to this machine, and to nobody else."""

import json
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from urllib.parse import parse_qsl, urlsplit

from twincortex.models.errors import InputError

ADDRESS = "127.0.0.1"
# A page of another site whose name was made to point here still says its own name.
HOSTS = {ADDRESS, "localhost"}
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/plots.js": ("plots.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    # WebGL in plotly.js compiles functions, and plotly.js writes its styles into the page.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def open_server(data, port=0):
    """Listen for the page's requests; the caller serves them (``serve_forever``) and closes.

    Parameters
    ----------
    data : PageData
    port : int
        0 takes a free one.

    Returns
    -------
    ThreadingHTTPServer
        On 127.0.0.1.

    Raises
    ------
    InputError
        The port is taken, forbidden or no port; or plotly is not installed.
    """
    plotly_js()

    class Handler(PageHandler):
        page_data = data

    try:
        server = ThreadingHTTPServer((ADDRESS, port), Handler)
    except (OSError, OverflowError) as error:
        raise InputError(f"--port {port}: {error}. Choose another, or leave it out to take a free one.") from error
    server.daemon_threads = True
    return server


@cache
def plotly_js():
    """plotly.js, from the installed package.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        plotly is not installed.
    """
    try:
        return files("plotly").joinpath("package_data/plotly.min.js").read_bytes()
    except ModuleNotFoundError as error:
        raise InputError(
            "the page draws with plotly, which is not installed. Install it: pip install 'twincortex[explore]'."
        ) from error


class PageHandler(BaseHTTPRequestHandler):
    """Answers for the known addresses, asked for by the name of this machine."""

    page_data = None
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer a request."""
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in HOSTS:
            self._send_json({"error": f"this page answers to {ADDRESS} only."}, HTTPStatus.MISDIRECTED_REQUEST)
            return
        address = urlsplit(self.path)
        if address.path in FILES:
            name, kind = FILES[address.path]
            self._send(files(__package__).joinpath(name).read_bytes(), kind)
        elif address.path == "/plotly.min.js":
            self._send(plotly_js(), "text/javascript; charset=utf-8")
        elif address.path in self.page_data.addresses:
            self._send_data(address)
        else:
            self._send_json({"error": f"nothing lies at {address.path}."}, HTTPStatus.NOT_FOUND)

    def log_message(self, format, *args):
        """Stay silent: the terminal shows what the command prints."""

    def _send_data(self, address):
        try:
            content = self.page_data.answer(address.path, dict(parse_qsl(address.query)))
        except InputError as error:
            self._send_json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
        else:
            self._send_json(content)

    def _send_json(self, content, status=HTTPStatus.OK):
        text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        self._send(text.encode(), "application/json", status)

    def _send(self, body, kind, status=HTTPStatus.OK):
        self.send_response(status)
        for name, value in ({"Content-Type": kind, "Content-Length": len(body)} | HEADERS).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)
