import numpy as np
import pytest

from twincortex.models.sonata import write_circuit


@pytest.fixture(scope="session")
def circuit_folder(tiny, tmp_path_factory):
    """The column of size tiny as SONATA."""
    folder = tmp_path_factory.mktemp("evaluation") / "circuit"
    write_circuit(tiny, folder)
    return folder


@pytest.fixture(scope="session")
def trained(tiny):
    """The same with other recurrent weights, signs kept."""
    edges = tiny.projections["v1_to_v1"]
    factor = np.random.default_rng(1).lognormal(0, 0.3, edges.n_edges)
    return tiny.with_weights({"v1_to_v1": edges.weight * factor})
