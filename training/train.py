"""Train a V1 column and test it in two engines: ``python training/train.py --config training/configs/demo.yaml``.

Writes a run folder: config.yaml, environment.json, metrics.csv, checkpoints/, circuit/ (SONATA, untrained weights),
weights/ (trained weights as SONATA edges), held_out.json and figures/. Its last line of output is JSON.
"""

import hashlib
import json
import sys
from pathlib import Path

from tqdm import tqdm

from twincortex.models.column import build_column
from twincortex.models.errors import TwinCortexError
from twincortex.models.sonata import read_circuit, write_circuit
from twincortex.models.sonata_weights import write_weights
from twincortex.models.weights import circuit_with_trained_weights
from twincortex.training.checkpoints import load_last_checkpoint, save_checkpoint
from twincortex.training.config import read_config
from twincortex.training.figures import draw_training
from twincortex.training.held_out import (
    compare_engines,
    evoked_rates,
    held_out_trials,
    rates_per_type,
    simulate_trials,
    spontaneous_rates,
)
from twincortex.training.loop import Trainer, start_training
from twincortex.training.run_record import RunRecord

CHECKPOINT_EVERY = 10


def main(arguments=None):
    """Read the configuration, build, train, test, draw."""
    config, out, resume, text = read_config(arguments)
    record = RunRecord(resume or out, text, resume=bool(resume))
    circuit = _open_circuit(config.circuit, record.folder)
    state = start_training(circuit, config)
    if resume:
        load_last_checkpoint(record.folder, state, circuit)
    metrics = _train(circuit, config, state, record)
    trained = circuit_with_trained_weights(circuit, state.column)
    write_weights(trained, record.folder / "weights", "trained")
    held_out = _test(circuit, trained, config, metrics, record)
    print(json.dumps(_summary(metrics, state, held_out, record)))


def _open_circuit(choice, run_folder):
    """The circuit of the run, kept in the run folder so that the run can be read without anything else."""
    kept = run_folder / "circuit"
    if kept.exists():
        return read_circuit(kept)
    circuit = read_circuit(choice.folder) if choice.folder else build_column(choice.size, seed=choice.seed)
    write_circuit(circuit, kept)
    return circuit


def _train(circuit, config, state, record):
    trainer, rows = Trainer(circuit, config, state), []
    print(f"training {circuit.n_neurons:,} neurons, {circuit.projections['v1_to_v1'].n_edges:,} recurrent connections")
    with tqdm(total=config.steps, initial=state.step, desc="training", unit="update", mininterval=1) as bar:
        while state.step < config.steps:
            rows.append(trainer.update())
            record.add(rows[-1])
            now = rows[-1]
            bar.set_postfix_str(
                f"loss {now['loss']:.2f}, evoked {now['evoked/rate_Hz']:.2f}, gray {now['spontaneous/rate_Hz']:.2f} Hz"
            )
            bar.update()
            if state.step % CHECKPOINT_EVERY == 0 or state.step == config.steps:
                save_checkpoint(record.folder, state, circuit)
    if rows:
        print(f"loss {rows[0]['loss']:.3f} -> {rows[-1]['loss']:.3f} ({rows[-1]['loss'] / rows[0]['loss']:.2f} of it)")
    return rows


def _test(circuit, trained, config, metrics, record):
    """Re-simulate held-out gratings in the second engine with the first and the last weights, and in torch."""
    validation, protocol = config.validation, config.protocol
    print(f"held-out gratings in torch (float64) and {validation.engine}")
    trials = held_out_trials(circuit, validation, protocol)
    before = simulate_trials(circuit, trials, validation, protocol, validation.engine)
    after = simulate_trials(trained, trials, validation, protocol, validation.engine)
    in_torch = simulate_trials(trained, trials, validation, protocol, "torch")
    result = {"engines": ["torch", validation.engine], **compare_engines(in_torch, after), "rates_Hz": {}}
    for name, recordings in {"before": before, "after": after, "after in torch": in_torch}.items():
        result["rates_Hz"][name] = {
            "evoked": rates_per_type(evoked_rates(recordings, validation.gray_ms), circuit.cell_type),
            "spontaneous": rates_per_type(spontaneous_rates(recordings, validation.gray_ms), circuit.cell_type),
        }
    record.write_json("held_out.json", result)
    print(f"spikes torch {result['spikes'][0]:,}, {validation.engine} {result['spikes'][1]:,}, "
          f"mismatched {result['mismatched']}, largest difference of V {result['max_dv_mV']:.1e} mV")  # fmt: skip
    _print_rates(result["rates_Hz"], validation.engine)
    draw_training(metrics, before, after, validation.gray_ms, circuit, record.folder / "figures" / "training.png")
    print(f"figure: {record.folder / 'figures' / 'training.png'}")
    return result


def _print_rates(rates, engine):
    print(f"evoked rate (Hz)   before {engine:>10}    after {engine:>10}     after torch")
    for name, value in rates["after"]["evoked"].items():
        torch_rate = rates["after in torch"]["evoked"][name]
        print(f"{name:<18}{rates['before']['evoked'][name]:>18.2f}{value:>20.2f}{torch_rate:>16.2f}")


def _summary(metrics, state, held_out, record):
    digest = hashlib.sha256()
    for name in sorted(state.column.weights):
        digest.update(state.column.weights[name].detach().numpy().tobytes())
    last = metrics[-1] if metrics else {}
    return {
        "steps": state.step,
        "seconds_per_step": sum(row["seconds"] for row in metrics) / max(len(metrics), 1),
        "loss_first": metrics[0]["loss"] if metrics else None,
        "loss_last": last.get("loss"),
        "losses": {name: value for name, value in last.items() if name.count("/") == 1},
        "mismatched_spikes": held_out["mismatched"],
        "weights_sha256": digest.hexdigest(),
        "run": str(Path(record.folder)),
    }


if __name__ == "__main__":
    try:
        main()
    except TwinCortexError as error:
        print(f"train.py: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
