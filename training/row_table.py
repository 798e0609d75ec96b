"""Tables that grow row by row and are whole after a crash, but for a last row cut short."""

import csv
import os

from twincortex.models.atomic_output import new_file
from twincortex.models.errors import InputError


class RowTable:
    """A CSV file with one row per step; the first row decides the columns.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    rows : list of dict of str -> number
        Those of this sitting and those kept of earlier ones.
    """

    def __init__(self, path):
        self.path, self.rows = path, []

    def add(self, row):
        """Append a row and bring it to the disk.

        Parameters
        ----------
        row : dict of str -> number
            With a ``step``.

        Raises
        ------
        InputError
            The disk is full.
        """
        self.rows.append(row)
        try:
            with self.path.open("a", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(self.rows[0]))
                if len(self.rows) == 1:
                    writer.writeheader()
                writer.writerow(row)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be written: {error}. The last checkpoint stays; make room, then continue with "
                f"--resume {self.path.parent}."
            ) from error

    def keep(self, step):
        """Go on from the rows up to a step; later ones belong to steps that are done again.

        Parameters
        ----------
        step : int
            That of the checkpoint.
        """
        if not self.path.exists():
            return
        with self.path.open(newline="") as file:
            # The last row may be cut short, even within its last number, where the machine went down meanwhile.
            lines = [line for line in file if line.endswith("\n")]
        rows = [row for row in csv.DictReader(lines) if int(row["step"]) <= step]
        self.rows = [{name: _number(text) for name, text in row.items()} for row in rows]
        with new_file(self.path) as partial, partial.open("w", newline="") as file:
            if rows:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)


def _number(text):
    return int(text) if text.isdigit() else float(text)
