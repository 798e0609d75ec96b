"""Connections and responses with a known rule: weight = lognormal noise x (1 + slope x response correlation)."""

import numpy as np
import pandas as pd

from twincortex.analysis.correlation_sums import correlations, response_vectors
from twincortex.analysis.wiring_rules import cell_type_properties


def fabricated_wiring(seed, slope=0.0, n=600, n_edges=60_000, types=("L2/3_Exc", "L5_IT", "L5_PV"), noise=0.5):
    """Random connections among neurons of some types; responses that share a few causes, so correlations spread.

    Every postsynaptic neuron scales its weights by a factor of its own.
    """
    rng = np.random.default_rng(seed)
    responses = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 8)) + 10 + rng.normal(0, 0.3, (n, 8))
    names = cell_type_properties().index
    cell_type = np.sort(rng.choice([names.get_loc(name) for name in types], n))
    pre, post = rng.integers(0, n, (2, n_edges))
    r = correlations(pre, post, response_vectors(responses))
    sign = np.where(cell_type_properties().ei.to_numpy()[cell_type] == "e", 1, -1)[pre]
    scale = rng.lognormal(0, 0.3, n)[post]
    edges = pd.DataFrame(
        {
            "pre": pre,
            "post": post,
            "pre_type": pd.Categorical.from_codes(cell_type[pre], names),
            "post_type": pd.Categorical.from_codes(cell_type[post], names),
            "delta_deg": rng.uniform(0, 180, n_edges),
            "weight_pA": sign * 5 * scale * rng.lognormal(0, noise, n_edges) * (1 + slope * r),
        }
    )
    return edges, responses
