"""``twincortex explore``: a run as a page in the browser."""

import os
import sys
import threading
import webbrowser

from twincortex.models.command_line import command_parser, print_json


def explore(arguments):
    """Show a run or a circuit in the browser: the column in 3D, spikes, tuning and wiring; Ctrl-C ends it."""
    parser = command_parser(explore)
    parser.add_argument("folder", help="run folder (the --out of training/train.py), or folder of a SONATA circuit")
    parser.add_argument("--evaluation", metavar="FOLDER", help="of `twincortex evaluate` (default: RUN/evaluation)")
    text = "wiring of the neurons within this distance of the axis (default 200)"
    parser.add_argument("--radius-um", type=float, default=200.0, help=text)
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1 (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    options = parser.parse_args(arguments)

    from twincortex.analysis.explorer.page_data import PageData
    from twincortex.analysis.explorer.server import open_server
    from twincortex.analysis.explorer.subject import read_subject

    subject = read_subject(options.folder, options.evaluation, options.radius_um)
    with open_server(PageData(subject), options.port) as server:
        address = f"http://{server.server_address[0]}:{server.server_port}/"
        shown = {"address": address, "shows": subject.description, "missing": dict(subject.missing), "end": "Ctrl-C"}
        print_json(shown)
        sys.stdout.flush()
        if not options.no_browser and _has_a_screen():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0  # which is how it ends, not a failure
    return 0


def _has_a_screen():
    """Tell whether a browser has a window to open; without one, Python would start one in this terminal."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
