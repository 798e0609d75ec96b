"""``twincortex report``: a run as one HTML page."""

from pathlib import Path

from twincortex.models.atomic_output import new_file
from twincortex.models.command_line import command_parser, print_json
from twincortex.models.errors import InputError


def report(arguments):
    """Write a run, finished or not, as one HTML page: curves, figures, tables, configuration, environment."""
    parser = command_parser(report)
    parser.add_argument("run", help="run folder: the --out of training/train.py")
    parser.add_argument("--out", metavar="FILE.html", help="file to write (default: RUN/report.html)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier report")
    options = parser.parse_args(arguments)

    from twincortex.training.report.next_steps import find_missing
    from twincortex.training.report.page import GENERATOR, make_page
    from twincortex.training.report.run_contents import read_run_contents

    out = Path(options.out or Path(options.run) / "report.html")
    contents = read_run_contents(options.run)
    _refuse_to_replace(out, GENERATOR, options.overwrite)
    page = make_page(contents)
    with new_file(out) as partial:
        partial.write_text(page, encoding="utf-8")
    missing = {step.what: step.command for step in find_missing(contents)}
    print_json({"report": str(out), "state": contents.state, "bytes": out.stat().st_size, "missing": missing})


def _refuse_to_replace(out, generator, overwrite):
    if not out.exists():
        return
    if not overwrite:
        raise InputError(f"{out} exists already. Choose another --out, or pass --overwrite to replace it.")
    if out.is_dir() or generator.encode() not in out.read_bytes()[:2000]:
        raise InputError(f"{out} is no report, so it stays untouched. Choose another --out, or remove it yourself.")
