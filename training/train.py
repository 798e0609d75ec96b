"""Train a V1 column and test it in two engines: ``python training/train.py --config training/configs/demo.yaml``.

Writes a run folder: config.yaml, environment.json, metrics.csv, tensorboard/, checkpoints/, circuit/ (SONATA, untrained
weights), weights/ (trained weights as SONATA edges), held_out.json and figures/. Its last line of output is JSON.
"""

import hashlib
import json
import sys
from pathlib import Path

from twincortex.models.column import build_column
from twincortex.models.column.expected_connections import expected_counts
from twincortex.models.column.sizes import column_size
from twincortex.models.errors import InputError, is_out_of_memory
from twincortex.models.memory_forecast import counts_of
from twincortex.models.sonata import read_circuit, write_circuit
from twincortex.models.sonata.weights import TRAINED, write_weights
from twincortex.models.weights import circuit_with_trained_weights
from twincortex.training.checkpoints import read_last_checkpoint
from twincortex.training.config_reading import read_config
from twincortex.training.environment import record_environment
from twincortex.training.evaluation.validation_set import make_validation_set
from twincortex.training.exit_codes import run_as_program
from twincortex.training.figures import draw_training
from twincortex.training.held_out import check_second_engine, held_out_test
from twincortex.training.loop import Trainer, start_training
from twincortex.training.memory_check import check_training, explain_out_of_memory
from twincortex.training.run_record import RunRecord
from twincortex.training.session import Session
from twincortex.training.tensorboard_log import TensorBoardLog


def main(arguments=None):
    """Read the configuration, build, train, test, draw."""
    config, out, resume, text = read_config(arguments)
    check_second_engine(config.validation.engine)
    checkpoint = _checkpoint_to_continue(resume, config.steps) if resume else None
    circuit = _find_circuit(config, resume)
    state = start_training(circuit, config)
    trainer = Trainer(circuit, config, state)
    # Whatever is wrong with the configuration has been said by now: only a run that can start gets a folder.
    record = RunRecord(resume or out, text, resume=bool(resume))
    try:
        _run(trainer, circuit, record, checkpoint)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{stop}; continue with --resume {record.folder}".removeprefix("; ")) from stop
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise explain_out_of_memory(error, counts_of(circuit), config) from error


def _run(trainer, circuit, record, checkpoint):
    config, state = trainer.config, trainer.state
    if checkpoint:
        checkpoint.restore(state, circuit)
    record.keep(state.step)
    if not (record.folder / "circuit").exists():
        write_circuit(circuit, record.folder / "circuit")
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


def _checkpoint_to_continue(run_folder, steps):
    checkpoint = read_last_checkpoint(run_folder)
    if checkpoint and checkpoint.step > steps:
        raise InputError(f"steps {steps}: {run_folder} has done {checkpoint.step} already. Ask for more.")
    return checkpoint


def _find_circuit(config, resume):
    if resume and Path(resume, "circuit").exists():
        return read_circuit(Path(resume, "circuit"))
    choice = config.circuit
    if choice.folder:
        return read_circuit(choice.folder)
    # Before minutes are spent on a column that could not be trained.
    check_training(expected_counts(column_size(choice.size)), config)
    return build_column(choice.size, seed=choice.seed)


def _train(trainer, circuit, record, tensorboard):
    config = trainer.config
    print(f"training {circuit.n_neurons:,} neurons, {circuit.projections['v1_to_v1'].n_edges:,} recurrent connections")
    Session(trainer, circuit, record, tensorboard, make_validation_set(circuit, config)).run()
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
    digest = hashlib.sha256()
    for _, weight in sorted(state.column.weights.items()):
        if weight.requires_grad:
            digest.update(weight.detach().cpu().numpy())
    rows = record.metrics.rows
    first, last = (rows[0], rows[-1]) if rows else ({}, {})
    return {
        "steps": state.step,
        "seconds_per_step": sum(row["seconds"] for row in rows) / max(len(rows), 1),
        "loss_first": first.get("loss"),
        "loss_last": last.get("loss"),
        "losses": {name: value for name, value in last.items() if name.count("/") == 1},
        "mismatched_spikes": held_out["mismatched"],
        "weights_sha256": digest.hexdigest(),
        "run": str(record.folder),
    }


if __name__ == "__main__":
    sys.exit(run_as_program(main))
