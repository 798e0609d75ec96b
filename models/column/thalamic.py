"""LGN to V1: every cell takes units that fit its place, tuning axis, sign and temporal frequency."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from twincortex.models.circuit import Projection
from twincortex.models.column.by_unit import collect_by_unit, pack_block, piece_bits
from twincortex.models.column.thalamic_sampling import connect_cells
from twincortex.models.column.thalamic_synapses import MAX_SYNAPSES
from twincortex.models.column.thalamic_tables import make_cells, make_field, make_rules
from twincortex.models.column.unit_psp import unit_psp
from twincortex.models.errors import InputError, first_offenders
from twincortex.models.parameters import read_cell_models, read_external_inputs, read_populations, receptor_layout

UNIT_PSP = 0.345  # mV, of one LGN synapse onto an L4 excitatory cell of mean size
_CELLS_PER_BLOCK = 512


def connect_lgn(nodes, node_types, lgn_units, seed, n_threads=None, progress=None):
    """Connect the LGN to the column.

    A cell whose receptive field is centred at (60 + 0.07 x, 40 + 0.04 z) deg takes units near it: those whose position,
    shifted by 2.5 deg along its tuning axis, falls into a Gaussian elongated across that axis, preferring temporal
    frequencies near its own and either ON or OFF units. The number of connections follows from its synapse count; the
    synapses per connection are Yule-Simon distributed, more of them from nearer units.

    Parameters
    ----------
    nodes : Nodes
    node_types : NodeTypes
    lgn_units : pandas.DataFrame
        As made by ``build_lgn_units``.
    seed : int
    n_threads : int, optional
        All processors by default; the result does not depend on it.
    progress : callable, optional
        Called with (done, total) cells.

    Returns
    -------
    Projection
        Delay 1.7 ms, receptor of class ``exc``; weights of all synapses of a connection together.

    Raises
    ------
    InputError
        More LGN units, or more synapses in one connection, than 16 bits count.

    Source
    ------
    biorealistic-v1-model, edge_funcs.py (select_lgn_sources_powerlaw) and make_lgn_weights.py. There a cell whose draws
    are all above one synapse gives its smallest ones a single synapse; here it does not.
    """
    n_cells, n_units = len(nodes.x), len(lgn_units)
    rule = make_field(lgn_units), make_cells(nodes, node_types, seed), make_rules()
    bits = piece_bits(n_units, -(-n_cells // _CELLS_PER_BLOCK))
    target = np.arange(n_cells) * receptor_layout().n_receptors + _exc_receptor(node_types)[nodes.type_index]
    onto = target.astype(np.int32), lgn_synapse_weights(nodes, node_types)
    with ThreadPoolExecutor(n_threads or os.cpu_count()) as pool:
        blocks = draw_blocks(rule, n_cells, bits, pool, progress)
        rows = collect_by_unit(blocks, *onto, n_units, bits, lambda *task: list(pool.map(*task)))
    return Projection(
        source="lgn",
        n_sources=n_units,
        delay_code=np.zeros(len(rows.target), dtype=np.uint8),
        delay_ms=np.array([read_external_inputs().delay_ms["lgn"]]),
        **rows._asdict(),
    )


def draw_blocks(rule, n_cells, bits, pool, progress=None):
    """Draw the connections onto all cells in parallel.

    Parameters
    ----------
    rule : (Field, Cells, Rules)
    n_cells : int
    bits : int
        See ``by_unit.piece_bits``.
    pool : concurrent.futures.Executor
    progress : callable, optional
        Called with (done, total) cells.

    Returns
    -------
    list of by_unit.Block
        In the order of the cells.

    Raises
    ------
    InputError
        More synapses in one connection than 16 bits count.
    """
    n_units = len(rule[0].unit)

    def draw(first):
        connections, n_found, largest = connect_cells(rule, first, min(first + _CELLS_PER_BLOCK, n_cells))
        return pack_block(connections, n_found, n_units, bits), largest

    blocks, largest = [], []
    for block, largest_of_block in pool.map(draw, range(0, n_cells, _CELLS_PER_BLOCK)):
        blocks.append(block)
        largest.append(largest_of_block)
        if progress:
            progress(min(len(blocks) * _CELLS_PER_BLOCK, n_cells), n_cells)
    overflow = np.flatnonzero(np.concatenate(largest) > MAX_SYNAPSES)
    if len(overflow):
        raise InputError(
            f"LGN connections with more than {MAX_SYNAPSES:,} synapses onto cells {first_offenders(overflow)}: they do "
            "not fit in 16 bits. Build with another seed."
        )
    return blocks


def lgn_synapse_weights(nodes, node_types):
    """Weight of one LGN synapse onto each cell.

    Parameters
    ----------
    nodes : Nodes
    node_types : NodeTypes

    Returns
    -------
    (N,) float64 array [pA]
        0.345 mV over the unit PSP of the cell model, scaled by the mean synapse count of L4 excitatory cells over that
        of the cell, and damped for 11 cell models that were too active.
    """
    rows = np.arange(len(node_types.node_type_id)), _exc_receptor(node_types)
    kinetics = (node_types.receptor_parameters[name][rows] for name in ("tau_fast", "tau_slow", "amp_slow"))
    psp = unit_psp(node_types.parameters["C_m"], node_types.parameters["g"], *kinetics)
    damping = read_cell_models().lgn_damping.loc[node_types.node_type_id].to_numpy()
    l4 = read_populations().loc[lambda table: table.cell_type == "L4_Exc"].iloc[0]
    mean_l4_size = l4.n_synapses_scale * np.exp(l4.n_synapses_shape**2 / 2.0)
    return (UNIT_PSP / psp * damping)[nodes.type_index] * mean_l4_size / nodes.target_size


def _exc_receptor(node_types):
    layout = receptor_layout()
    synapse_class = read_external_inputs().synapse_class["lgn"]
    post_class = read_populations().synapse_class.loc[node_types.pop_name]
    return np.array([layout.index[synapse_class, post] for post in post_class])
