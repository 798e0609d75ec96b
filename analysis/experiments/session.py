"""One call of ``twincortex experiment``: what is asked for, what is missing, who runs it, and the result."""

from dataclasses import dataclass, replace

from twincortex.analysis.experiments.cluster import parse_parameters, run_on_cluster
from twincortex.analysis.experiments.folder import ExperimentFolder, settings_of
from twincortex.analysis.experiments.forecast import check_memory, choose_batch, describe_experiment
from twincortex.analysis.experiments.results import read_experiment
from twincortex.analysis.experiments.running import Simulation, keeper, run_rollouts
from twincortex.analysis.experiments.sharing import parse_share, run_shares, share_of, stop_with
from twincortex.analysis.experiments.subject import Subject, read_subject
from twincortex.analysis.experiments.table import Experiment
from twincortex.models.progress import Progress


@dataclass(frozen=True)
class Session:
    """What one call of the command works with.

    Attributes
    ----------
    options : argparse.Namespace
        Of `command.experiment`.
    command : callable, list of str
        `command.experiment`, and the arguments that the options were made from.
    subject : Subject
    experiment : Experiment
    simulation : Simulation
    folder : ExperimentFolder
    """

    options: object
    command: tuple
    subject: Subject
    experiment: Experiment
    simulation: Simulation
    folder: ExperimentFolder

    @property
    def _n_processes(self):
        return 1 if self.options.share or self.options.cluster else self.options.jobs

    def description(self):
        """Table and forecast (see `describe_experiment`)."""
        return describe_experiment(self.experiment, self.subject.circuit, self.simulation, self._n_processes)

    def run(self):
        """Run what is missing, and gather the parts unless only a share is asked for."""
        options, folder = self.options, self.folder
        if not options.ignore_memory_forecast:
            check_memory(self.experiment, self.subject.circuit, self.simulation, self._n_processes)
        folder.open(options.overwrite)
        if folder.result.is_file():
            folder.tidy_up()
            return
        rollouts = self.experiment.rollouts
        if options.share:
            self._run_here(folder.parts.missing(share_of(rollouts, *parse_share(options.share))))
            return
        if missing := folder.parts.missing(rollouts):
            with Progress("rollouts") as progress:
                self._run(missing, lambda: progress("simulating", folder.parts.count_files(), len(rollouts)))
        folder.finish(self.subject)

    def _run(self, missing, tell):
        options = self.options
        if options.cluster:
            logs, parameters = self.folder.path / "cluster", parse_parameters(options.cluster_options)
            run_on_cluster(options.cluster, self.command, options.jobs, logs, parameters, tell)
        elif options.jobs > 1:
            run_shares(self.command[1], options.jobs, tell)
        else:
            self._run_here(missing, tell)

    def _run_here(self, rollouts, tell=lambda: None):
        write, check = keeper(self.folder.parts, self.subject.is_core), stop_with(self.options.parent)

        def keep(rollout, trains):
            write(rollout, trains)
            tell()
            check()

        run_rollouts(rollouts, self.experiment, self.subject.circuit, self.simulation, keep)

    def summary(self):
        """What the result holds, ready for JSON."""
        dataset = read_experiment(self.folder.result)
        mean = dataset.spike_count[..., self.subject.is_core].mean(["condition", "trial", "neuron"])
        rate = dict(zip(dataset.window.values.tolist(), (1000 * mean / mean.window_ms).values.tolist(), strict=True))
        return {
            "result": str(self.folder.result),
            "engine": self.simulation.engine,
            **{name: dataset.sizes[name] for name in ("condition", "trial", "neuron")},
            "mean_rate_of_core_Hz": rate,
        }


def prepare(options, command):
    """Read the circuit and declare the experiment; nothing is written yet.

    Parameters
    ----------
    options : argparse.Namespace
    command : callable, list of str
        See `Session`.

    Returns
    -------
    Session
    """
    subject = read_subject(options.folder, options.weights, options.radius_um)
    experiment = options.protocol.declare(subject.circuit, subject.is_core)
    simulation = Simulation(options.engine, options.protocol.seed, options.dt, options.precision)
    jobs = 1 if options.cluster else options.jobs
    batch = choose_batch(experiment, subject.circuit, simulation, jobs, options.batch)
    simulation = replace(simulation, batch=batch)
    folder = ExperimentFolder(options.out, experiment, settings_of(options.protocol, experiment, subject, simulation))
    return Session(options, command, subject, experiment, simulation, folder)
