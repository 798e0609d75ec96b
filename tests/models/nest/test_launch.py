import json
import os
import sys

import pytest

from twincortex.models import nest
from twincortex.models.errors import InputError, OutOfMemoryError, TwinCortexError
from twincortex.models.nest.launch import Listener, run_workers
from twincortex.models.nest.messages import tell, understand
from twincortex.models.nest.processes import Processes
from twincortex.models.recording import Run

TWICE = "import subprocess, sys; [subprocess.run(sys.argv[1:]) for _ in range(2)]"


def launched_by(code, tmp_path):
    """Run a job that is not there, or something else in place of NEST."""
    return run_workers(tmp_path / "job.json", Processes(1, (sys.executable, "-c", code)))


def test_a_launcher_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"the launcher 'mpi-run' cannot be started \(No such file"):
        run_workers(tmp_path / "job.json", Processes(launcher=("mpi-run", "-n", "2")))


def test_a_missing_nest_comes_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nest", None)  # as if it were not installed
    with pytest.raises(InputError, match=r"NEST is not installed.*pip install 'twincortex\[nest\]'"):
        run_workers(tmp_path / "job.json", Processes(1))


def test_processes_that_do_not_see_each_other_are_refused(circuit):
    run = Run(20.0, after_spike_current="step_mean")
    with pytest.raises(InputError, match="several NEST processes that do not see each other"):
        nest.simulate(circuit, {}, run, processes=Processes(launcher=(sys.executable, "-c", TWICE)))


def test_nests_own_complaint_about_mpi_is_understood(tmp_path, monkeypatch):
    for name, value in {"OMPI_COMM_WORLD_SIZE": "2", "PMIX_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    complaint = "print('although NEST was not compiled with MPI support. Please'); raise SystemExit(127)"
    with pytest.raises(InputError, match="built without MPI, as those of PyPI are"):
        launched_by(complaint, tmp_path)


def test_a_process_that_was_killed_ran_out_of_memory(tmp_path):
    with pytest.raises(OutOfMemoryError, match=r"memory ran out in NEST \(the system killed it\)"):
        launched_by("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", tmp_path)


@pytest.mark.parametrize(
    "says", ['twincortex.nest:{"exit_code": 4, "text": "std::bad_alloc"}', "terminate called: std::bad_alloc"]
)
def test_a_process_without_memory_is_told_apart_from_other_failures(says, tmp_path):
    with pytest.raises(OutOfMemoryError, match=r"memory ran out in NEST \(.*bad_alloc\). Choose a smaller"):
        launched_by(f"print({says!r}); raise SystemExit(1)", tmp_path)


def test_the_last_words_of_a_process_that_failed_are_shown(tmp_path):
    with pytest.raises(TwinCortexError, match=r"exit code 7 before it was done(.|\n)*NEST: a reason") as raised:
        launched_by("print('NEST: a reason'); raise SystemExit(7)", tmp_path)
    assert raised.value.exit_code == 1


def test_what_goes_wrong_in_nest_is_told_with_its_place(tmp_path):
    (tmp_path / "job.json").write_text(json.dumps({"no": "job"}))
    with pytest.raises(TwinCortexError, match=r"NEST failed with KeyError(.|\n)*read_job"):
        run_workers(tmp_path / "job.json", Processes(1))


def test_one_complaint_ends_all_processes(tmp_path):
    complains = f"""
import os, pathlib, time
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
print('twincortex.nest:{{"exit_code": 2, "text": "bad weights"}}', flush=True)
time.sleep(60)
"""
    with pytest.raises(InputError, match="bad weights"):
        launched_by(complains, tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_messages_are_found_behind_the_words_of_a_launcher(capfd):
    tell(finished=3, nest="3.10.0")
    line = capfd.readouterr().out
    assert understand(f"[1,3]<stdout>:{line}") == {"finished": 3, "nest": "3.10.0"}
    assert understand("Simulation finished.") is None


def test_a_run_is_done_when_every_rank_is():
    listener = Listener()
    for message in ({"rank": 0, "n_ranks": 2}, {"rank": 1, "n_ranks": 2}, {"finished": 0, "nest": "3.10.0"}):
        listener.hear(f"twincortex.nest:{json.dumps(message)}\n")
    with pytest.raises(TwinCortexError, match="ended with exit code 0 before it was done"):
        listener.check(0)
    listener.hear('twincortex.nest:{"finished": 1, "nest": "3.10.0"}\n')
    listener.check(1)  # some MPIs fail at the very end, with all results written


def test_threads_default_to_the_processors_but_not_under_a_launcher():
    assert Processes().threads_each >= 1
    assert Processes(launcher=("mpirun",)).threads_each == 1
    assert Processes(3, ("mpirun",)).threads_each == 3
