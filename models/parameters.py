"""The parameter tables of the column, read from ``models/data`` with their columns checked.

Every table is a pandas DataFrame with units in its column names; ``models/data/README.md`` says where each comes from.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd

from twincortex.models.errors import InputError, first_offenders

# Fixed orders: receptors are numbered by first appearance in this list of presynaptic classes.
PRESYNAPTIC_CLASSES = ("exc", "e23", "e4", "e5et", "e5it", "e5np", "e6", "pv", "sst", "vip")
POSTSYNAPTIC_CLASSES = PRESYNAPTIC_CLASSES[1:]

_COLUMNS = {
    "cell_models": "pop_name V_th_mV E_L_mV V_reset_mV g_nS C_m_pF t_ref_ms asc_decay_0_per_ms asc_decay_1_per_ms "
    "asc_amp_0_pA asc_amp_1_pA asc_r_0 asc_r_1 n_full unit_psp_exc_mV_per_pA_published lgn_damping bkg_weight_pA",
    "populations": "cell_type layer ei synapse_class depth_upper_um depth_lower_um n_synapses_shape n_synapses_scale "
    "lgn_poisson_parameter lgn_on_ratio lgn_synapse_ratio lgn_yule_parameter target_spontaneous_Hz neuropixels_type "
    "color color_bright",
    "class_pairs": "sigma_um orientation_b_ratio psp_shape psp_scale_mV delay_ms unit_psp_published_ratio",
    "connection_probability": "pmax",
    "synapse_kinetics": "tau_fast_ms tau_slow_ms amp_slow",
    "external_inputs": "delay_ms synapse_class n_units rate_Hz",
    "lgn_units": "n_per_tile spatial_size_min_deg spatial_size_mode_deg spatial_size_max_deg dominant non_dominant "
    "separation_deg spontaneous_Hz",
    "lgn_filters": "w0 w1 kpeak0_ms kpeak1_ms delay0_ms delay1_ms spontaneous_Hz",
}


# Columns of cell_models.csv that say how a cell stands in the column, not how it works.
_NO_NEURON_PARAMETERS = ("pop_name", "n_full", "unit_psp_exc_mV_per_pA_published", "lgn_damping", "bkg_weight_pA")
_UNIT = re.compile("_(mV|nS|pF|per_ms|ms|pA)$")


def read_table(name, index):
    """Read one table of ``models/data`` and check that its columns are there.

    Parameters
    ----------
    name : str
        File name without ``.csv``.
    index : list of str
        Column(s) that identify a row.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        A column is missing.
    """
    path = resources.files("twincortex.models") / "data" / f"{name}.csv"
    with path.open() as file:
        table = pd.read_csv(file, comment="#" if name.startswith(("neuropixels", "fano")) else None)
    missing = [column for column in [*index, *_COLUMNS.get(name, "").split()] if column not in table]
    if missing:
        raise InputError(
            f"{path}: columns {missing} are missing. Derive the table again (models/data/derive_tables.py)."
        )
    return table.set_index(index)


@cache
def read_cell_models():
    """GLIF3 parameters of the 201 cell models; the row order is the order of node ids (index ``node_type_id``)."""
    return read_table("cell_models", ["node_type_id"])


def model_parameters(models):
    """Parameters of the neuron models: every column of the table but those about the column they stand in.

    A column that is added for other equations, such as ``asc_decay_2_per_ms``, so becomes a parameter of the circuit.

    Parameters
    ----------
    models : pandas.DataFrame
        Rows of `read_cell_models`.

    Returns
    -------
    dict of str -> (n_models,) float64 array
        In the order of the columns, under their names without the unit: ``V_th_mV`` is ``V_th``, ``asc_r_0`` itself.

    Raises
    ------
    InputError
        A parameter is not a finite number, or two columns differ in the unit only.
    """
    parameters = {}
    for column in models.columns.difference(_NO_NEURON_PARAMETERS, sort=False):
        values = pd.to_numeric(models[column], errors="coerce").to_numpy(dtype=np.float64)
        bad = models.index[~np.isfinite(values)]
        if len(bad):
            raise InputError(
                f"cell_models.csv: {column} of {first_offenders(list(bad))}: expected finite numbers. Correct it."
            )
        name = _UNIT.sub("", column)
        if name in parameters:
            raise InputError(f"cell_models.csv: two columns for {name}, one of them {column}. Keep one.")
        parameters[name] = values
    return parameters


@cache
def read_populations():
    """The 22 populations (index ``pop_name``): cell type, layer, class, depth, synapse counts, LGN rule, colours."""
    return read_table("populations", ["pop_name"])


@cache
def read_class_pairs():
    """Spread, orientation rule, PSP lognormal and delay per (``pre_class``, ``post_class``), 81 rows."""
    return read_table("class_pairs", ["pre_class", "post_class"])


@cache
def read_connection_probability():
    """Peak connection probability ``pmax`` per (``pre_type``, ``post_type``), 19 x 19 cell types."""
    return read_table("connection_probability", ["pre_type", "post_type"])


@cache
def read_synapse_kinetics():
    """Double-alpha kinetics per (``pre_class``, ``post_class``); class ``exc`` is the LGN and the background."""
    return read_table("synapse_kinetics", ["pre_class", "post_class"])


@cache
def read_external_inputs():
    """Delay, synapse class and number of units of the external sources ``lgn`` and ``bkg``."""
    return read_table("external_inputs", ["source"])


@cache
def read_lgn_units():
    """The 14 LGN unit types (index ``model``): count per tile, size range, subunits, spontaneous rate."""
    table = read_table("lgn_units", ["model"])
    return table.assign(non_dominant=table.non_dominant.fillna(""))


@cache
def read_lgn_filters():
    """Temporal filters and spontaneous rates of the 12 simple LGN unit types (index ``model``)."""
    return read_table("lgn_filters", ["model"])


@dataclass(frozen=True)
class ReceptorLayout:
    """Which receptor of a target cell a presynaptic class uses, and the kinetics of each receptor.

    Connections with the same kinetics onto a cell share one receptor (DESIGN 4). Classes with fewer receptors are
    padded with copies of receptor 0, which no connection uses.

    Attributes
    ----------
    n_receptors : int
    index : dict of (pre_class, post_class) -> int
    tau_fast, tau_slow : dict of post_class -> (n_receptors,) array [ms]
    amp_slow : dict of post_class -> (n_receptors,) array
        Peak of the slow alpha relative to the fast one.
    """

    n_receptors: int
    index: dict
    tau_fast: dict
    tau_slow: dict
    amp_slow: dict


@cache
def receptor_layout():
    """Group the kinetics onto each postsynaptic class into receptors.

    Returns
    -------
    ReceptorLayout
        Receptor 0 belongs to class ``exc`` (LGN, background and most excitatory cells).
    """
    kinetics = read_synapse_kinetics()
    index, distinct = {}, {}
    for post in POSTSYNAPTIC_CLASSES:
        rows = []
        for pre in PRESYNAPTIC_CLASSES:
            row = tuple(kinetics.loc[(pre, post), ["tau_fast_ms", "tau_slow_ms", "amp_slow"]])
            if row not in rows:
                rows.append(row)
            index[pre, post] = rows.index(row)
        distinct[post] = rows
    n_receptors = max(map(len, distinct.values()))
    padded = {post: np.array(rows + [rows[0]] * (n_receptors - len(rows))) for post, rows in distinct.items()}
    columns = [{post: rows[:, column] for post, rows in padded.items()} for column in range(3)]
    return ReceptorLayout(n_receptors, index, *columns)
