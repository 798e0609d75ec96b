"""Targets: what the activity and the weights of one circuit are trained towards, as arrays."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from twincortex.models.errors import InputError
from twincortex.models.neuropixels import read_neuropixels_summary, recorded_types, sample_quantiles
from twincortex.models.parameters import read_populations
from twincortex.models.randomness import philox
from twincortex.models.surrogate.delivery import shared_tensor
from twincortex.training.weight_distribution import weight_distribution

CONDITIONS = ("evoked", "spontaneous")


@dataclass(frozen=True)
class Region:
    """Neurons whose rates and tuning are scored together, ordered by cell type.

    Attributes
    ----------
    weight : float
        Of this region in the loss: 1 in the core, less in the annulus.
    neurons : (n,) int64 array
        Ids in the column.
    type_index : (n,) int64 array, ascending
        Row of ``Targets.cell_types``.
    type_share : (n_types,) float array
        Cells of each type over cells of the region.
    level : (n,) float array
        i/n for the i-th neuron of a type with n in this region.
    rate_Hz : dict of condition -> (n,) float array [Hz]
        Target rate of the neuron with that rank, ascending within a type.
    membership : (n, n_types) float array
        1/n in the column of the neuron's type.
    """

    weight: float
    neurons: np.ndarray
    type_index: np.ndarray
    type_share: np.ndarray
    level: np.ndarray
    rate_Hz: dict
    membership: np.ndarray


@dataclass(frozen=True)
class Targets:
    """Everything the objectives compare a circuit with.

    Attributes
    ----------
    cell_types : tuple of str
        Names in the recordings, for example ``"L5 Exc"`` for all three L5 subtypes; only those present.
    n_recorded : (n_types,) int array
        Units behind the OSI and DSI targets.
    regions : tuple of Region
        The core, then the annulus if the core is not everything.
    osi, dsi : (n_types,) float arrays
    tuning_angle : (N,) float array [deg]
    resting_potential, threshold_potential : (N,) float arrays [mV]
        E_L and V_th.
    excitatory_core : (n,) int64 array
        Neurons that Fano pools are drawn from.
    weights : tuple of WeightDistribution
    """

    cell_types: tuple
    n_recorded: np.ndarray
    regions: tuple
    osi: np.ndarray
    dsi: np.ndarray
    tuning_angle: np.ndarray
    resting_potential: np.ndarray
    threshold_potential: np.ndarray
    excitatory_core: np.ndarray
    weights: tuple

    def to(self, device="cpu", dtype=torch.float32):
        """Return the same targets as torch tensors, not to be written to: floats as dtype, integers as they are."""
        return _as_tensors(self, device, dtype)


def circuit_targets(circuit, seed, core_radius_um=200.0, annulus_weight=0.1, regularized=("v1_to_v1",)):
    """Collect the targets of a circuit.

    Parameters
    ----------
    circuit : Circuit
    seed : int
        Of the draw of target rates; one draw per cell type, condition and region.
    core_radius_um : float [um]
        Neurons nearer to the axis of the column (in x and z) are the core.
    annulus_weight : float
        Weight of the rate and tuning losses of the others.
    regularized : tuple of str
        Projections from v1 whose weight distributions are held.

    Returns
    -------
    Targets
        numpy arrays; `Targets.to` makes tensors of them.

    Raises
    ------
    InputError
        A population has no recorded counterpart, or the core is empty or has no excitatory neuron.
    """
    nodes = circuit.nodes
    cell_types, type_index = np.unique(recorded_types(circuit.pop_name), return_inverse=True)
    in_core = np.hypot(nodes.x, nodes.z) < core_radius_um
    excitatory = read_populations().ei.reindex(circuit.pop_name).to_numpy() == "e"
    if not np.any(in_core & excitatory):
        raise InputError(
            f"core_radius_um {core_radius_um}: {in_core.sum()} of {len(in_core):,} neurons lie in the core, none of "
            f"them excitatory. Choose a radius up to {np.hypot(nodes.x, nodes.z).max():.0f} um that holds some."
        )
    regions = [_region(0, 1.0, np.flatnonzero(in_core), type_index, cell_types, seed)]
    if not np.all(in_core):
        regions.append(_region(1, annulus_weight, np.flatnonzero(~in_core), type_index, cell_types, seed))
    summary = read_neuropixels_summary()
    return Targets(
        cell_types=tuple(cell_types.tolist()),
        n_recorded=np.array([summary.n_units[name, "OSI"] for name in cell_types]),
        regions=tuple(regions),
        osi=np.array([summary["mean"][name, "OSI"] for name in cell_types]),
        dsi=np.array([summary["mean"][name, "DSI"] for name in cell_types]),
        tuning_angle=np.asarray(nodes.tuning_angle, dtype=float),
        resting_potential=circuit.neuron_parameter("E_L"),
        threshold_potential=circuit.neuron_parameter("V_th"),
        excitatory_core=np.flatnonzero(in_core & excitatory),
        weights=tuple(weight_distribution(circuit, name) for name in regularized),
    )


def rate_targets(cell_type, condition, n_cells, seed, *counters):
    """Draw target rates for the cells of one type from the recorded distribution.

    Parameters
    ----------
    cell_type : str
    condition : str
        ``"evoked"`` or ``"spontaneous"``.
    n_cells : int
    seed : int
    *counters : int
        Distinguish draws of the same seed.

    Returns
    -------
    (n_cells,) array [Hz], ascending

    Source
    ------
    Ito et al. (2025): uniform draws through the interpolated inverse distribution function of the recorded rates and
    one silent unit. Each type gets a draw of its own; the reference uses the same numbers for all types.
    """
    draw = philox(seed, f"target_rates_{condition}", *counters).random(n_cells)
    return np.sort(sample_quantiles(f"{condition}_rate_Hz", cell_type, draw, with_silent_unit=True))


def _region(number, weight, neurons, type_of_neuron, cell_types, seed):
    neurons = neurons[np.argsort(type_of_neuron[neurons], kind="stable")]
    type_index = type_of_neuron[neurons]
    n_cells = np.bincount(type_index, minlength=len(cell_types))
    rank = np.concatenate([np.arange(1, n + 1) for n in n_cells])
    of_type = list(enumerate(zip(cell_types, n_cells, strict=True)))
    rates = {
        condition: np.concatenate([rate_targets(name, condition, n, seed, k, number) for k, (name, n) in of_type])
        for condition in CONDITIONS
    }
    return Region(
        weight=weight,
        neurons=neurons,
        type_index=type_index,
        type_share=n_cells / len(neurons),
        level=rank / n_cells[type_index],
        rate_Hz=rates,
        membership=(type_index[:, None] == np.arange(len(cell_types))) / n_cells.clip(1),
    )


def _as_tensors(value, device, dtype):
    if isinstance(value, np.ndarray):
        # Weights and targets of connections stay where the circuit has them.
        tensor = shared_tensor(value).to(device)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor
    if isinstance(value, dict):
        return {key: _as_tensors(item, device, dtype) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_as_tensors(item, device, dtype) for item in value)
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return dataclasses.replace(value, **{name: _as_tensors(getattr(value, name), device, dtype) for name in names})
    return value
