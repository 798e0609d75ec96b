"""What the NEST processes tell the process that started them: lines of JSON on stdout, among whatever NEST prints."""

import json
import os
import sys

_MARK = "twincortex.nest:"
# Longer lines of several processes may be mixed with each other on their way.
_LONGEST_TEXT = 3000


def tell(**message):
    """Write a message to stdout at once.

    Parameters
    ----------
    **message
        What JSON can hold.
    """
    if "text" in message:
        message["text"] = message["text"][:_LONGEST_TEXT]
    sys.stdout.flush()
    os.write(sys.stdout.fileno(), f"{_MARK}{json.dumps(message)}\n".encode())


def understand(line):
    """Find the message in a line of output; launchers may have put words before it.

    Parameters
    ----------
    line : str

    Returns
    -------
    dict or None
        None where the line holds none.
    """
    _, found, text = line.partition(_MARK)
    return json.loads(text) if found else None
