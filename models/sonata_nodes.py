"""Neurons, LGN units and background units as SONATA node files; cell models as JSON in NEST's words."""

import json

import h5py
import numpy as np
import pandas as pd

from twincortex.models.circuit import Nodes, NodeTypes
from twincortex.models.errors import InputError, first_offenders
from twincortex.models.hdf5 import open_hdf5, read_dataset, read_group, write_dataset
from twincortex.models.parameters import read_populations
from twincortex.models.sonata_tables import inside, read_json, read_type_table, stamp_provenance, write_type_table

_FIRST_TYPE_ID = 100
_NEST_RECEPTOR_WORDS = {"tau_fast": "tau_syn_fast", "tau_slow": "tau_syn_slow"}
_NEST_ARRAYS = {"asc_decay": "asc_decay", "asc_amp": "asc_amps", "asc_r": "asc_r"}
_NODE_COLUMNS = {"x": "x", "y": "y", "z": "z", "tuning_angle": "tuning_angle", "target_size": "target_sizes"}
_LGN_COLUMNS = {
    **{f"{ours}{i}": f"{theirs}_dom_{i}" for ours, theirs in _SUBUNIT_WORDS for i in (0, 1)},
    **{f"{ours}{i}_non_dom": f"{theirs}_non_dom_{i}" for ours, theirs in _SUBUNIT_WORDS for i in (0, 1)},
    "separation": "sf_sep",
}
