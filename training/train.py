"""Train a V1 column and test it in two engines: ``python training/train.py --config training/configs/demo.yaml``.

Writes a run folder: config.yaml, environment.json, metrics.csv, tensorboard/, checkpoints/, circuit/ (SONATA, untrained
weights), weights/ (trained weights as SONATA edges), held_out.json and figures/. Its last line of output is JSON.
"""

import json
import sys
from contextlib import contextmanager

from twincortex.models.errors import is_out_of_memory
from twincortex.models.memory_forecast import counts_of
from twincortex.models.sonata import write_circuit
from twincortex.models.sonata.weights import TRAINED, write_weights
from twincortex.models.weights import circuit_with_trained_weights
from twincortex.training.config_reading import read_config
from twincortex.training.environment import record_environment
from twincortex.training.evaluation.validation_set import make_validation_set
from twincortex.training.exit_codes import run_as_program
from twincortex.training.figures import draw_training
from twincortex.training.held_out import check_second_engine, held_out_test
from twincortex.training.memory_check import explain_out_of_memory
from twincortex.training.processes import open_processes
from twincortex.training.run_record import RunRecord
from twincortex.training.run_start import CIRCUIT, find_checkpoint, find_circuit, read_shared_circuit, start_trainer
from twincortex.training.session import Session
from twincortex.training.tensorboard_log import TensorBoardLog
from twincortex.training.training_state import weights_digest


def main(arguments=None):
    """Read the configuration, build, train, test, draw; alone, or as one of the processes of torchrun."""
    config, out, resume, text = read_config(arguments)
    with open_processes(config.device) as processes:
        if processes.is_writer:
            _lead(config, out, resume, text, processes)
        else:
            _follow(config, resume, processes)


def _lead(config, out, resume, text, processes):
    """What the process does that writes the run folder and speaks; as a rule the only one."""
    check_second_engine(config.validation.engine)
    checkpoint = find_checkpoint(resume, config.steps)
    circuit = find_circuit(config, resume)
    trainer = start_trainer(circuit, config, checkpoint, processes)
    # Whatever is wrong with the configuration has been said by now: only a run that can start gets a folder.
    record = RunRecord(resume or out, text, resume=bool(resume))
    with _explaining_the_end(record.folder, circuit, config):
        _run(trainer, circuit, record)


def _follow(config, resume, processes):
    """What all other processes do: share the training, silently."""
    folder = processes.broadcast()
    circuit = read_shared_circuit(folder, processes.rank)
    with _explaining_the_end(folder, circuit, config):
        trainer = start_trainer(circuit, config, find_checkpoint(resume and folder, config.steps), processes)
        Session(trainer, circuit, folder).run()


@contextmanager
def _explaining_the_end(run_folder, circuit, config):
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{stop}; continue with --resume {run_folder}".removeprefix("; ")) from stop
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise explain_out_of_memory(error, counts_of(circuit), config) from error


def _run(trainer, circuit, record):
    config, state = trainer.config, trainer.state
    record.keep(state.step)
    if not (record.folder / CIRCUIT).exists():
        write_circuit(circuit, record.folder / CIRCUIT)
    trainer.processes.broadcast(record.folder.absolute())
    record_environment(record.folder, circuit)
    with TensorBoardLog(record.folder, state.step) as tensorboard:
        _train(trainer, circuit, record, tensorboard)
        trained = circuit_with_trained_weights(circuit, state.column)
        names = sorted({*TRAINED, *config.optimization.projections})
        write_weights(trained, record.folder / "weights", "trained", names)
        held_out = _test(circuit, trained, config, record) if config.validation.at_end else {"mismatched": None}
        for path in sorted((record.folder / "figures").glob("*.png")):
            tensorboard.add_figure(state.step, path.stem, path)
    print(json.dumps(_summary(state, held_out, record)))


def _train(trainer, circuit, record, tensorboard):
    config = trainer.config
    print(f"training {circuit.n_neurons:,} neurons, {circuit.projections['v1_to_v1'].n_edges:,} recurrent connections")
    Session(trainer, circuit, record.folder, record, tensorboard, make_validation_set(circuit, config)).run()
    rows = record.metrics.rows
    if rows:
        first, last = rows[0]["loss"], rows[-1]["loss"]
        print(f"loss {first:.3f} -> {last:.3f} ({last / first:.2f} of it)")


def _test(circuit, trained, config, record):
    """Re-simulate held-out gratings in the second engine and in torch, and draw them."""
    validation = config.validation
    print(f"held-out gratings in torch (float64) and {validation.engine}")
    result, before, after = held_out_test(circuit, trained, validation, config.protocol)
    record.write_json("held_out.json", result)
    print(f"spikes torch {result['spikes'][0]:,}, {validation.engine} {result['spikes'][1]:,}, "
          f"mismatched {result['mismatched']}, largest difference of V {result['max_dv_mV']:.1e} mV")  # fmt: skip
    _print_rates(result["rates_Hz"], validation.engine)
    draw_training(
        record.metrics.rows, before, after, validation.gray_ms, circuit, record.folder / "figures" / "training.png"
    )
    print(f"figure: {record.folder / 'figures' / 'training.png'}")
    return result


def _print_rates(rates, engine):
    print(f"evoked rate (Hz)   before {engine:>10}    after {engine:>10}     after torch")
    for name, value in rates["after"]["evoked"].items():
        torch_rate = rates["after in torch"]["evoked"][name]
        print(f"{name:<18}{rates['before']['evoked'][name]:>18.2f}{value:>20.2f}{torch_rate:>16.2f}")


def _summary(state, held_out, record):
    rows = record.metrics.rows
    first, last = (rows[0], rows[-1]) if rows else ({}, {})
    return {
        "steps": state.step,
        "seconds_per_step": sum(row["seconds"] for row in rows) / max(len(rows), 1),
        "loss_first": first.get("loss"),
        "loss_last": last.get("loss"),
        "losses": {name: value for name, value in last.items() if name.count("/") == 1},
        "mismatched_spikes": held_out["mismatched"],
        "weights_sha256": weights_digest(state.column),
        "run": str(record.folder),
    }


if __name__ == "__main__":
    sys.exit(run_as_program(main))
