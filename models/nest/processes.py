"""What NEST runs on: the threads of a process, and how processes are started on one machine or many."""

from dataclasses import dataclass
from pathlib import Path

from twincortex.models.errors import InputError
from twincortex.models.toolchain import count_processors


@dataclass(frozen=True)
class Processes:
    """Threads and processes of a simulation.

    Attributes
    ----------
    threads : int, optional
        Of each process. Default: as many as there are processors; 1 with a launcher.
    launcher : tuple of str
        Command that starts several processes under MPI, such as ``("mpirun", "-n", "4")``.
    scratch : str or Path, optional
        Folder for the exchange of files with these processes, seen from all their machines. Default: that of
        temporary files.

    Raises
    ------
    InputError
        Less than one thread.
    """

    threads: int | None = None
    launcher: tuple = ()
    scratch: str | Path | None = None

    def __post_init__(self):
        if self.threads is not None and self.threads < 1:
            raise InputError(f"threads {self.threads}: expected 1 or more per process.")

    @property
    def threads_each(self):
        """Threads of each process."""
        if self.threads is not None:
            return self.threads
        return 1 if self.launcher else count_processors()
