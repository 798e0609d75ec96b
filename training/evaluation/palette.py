"""Colors and captions that the figures of an evaluation share: one color per cell type, pale before training."""

from functools import cache

from twincortex.models.parameters import read_populations
from twincortex.training.evaluation.networks import UNTRAINED

RECORDED = "#222222"
# Of what mixes cell types.
BEFORE, AFTER = "#9a9a9a", "#1f5fbf"


@cache
def type_colors():
    """Color and pale color of each of the 19 cell types and the 17 recorded ones, dict of name -> (color, pale)."""
    populations = read_populations()
    colors = {}
    for column in ("neuropixels_type", "cell_type"):
        first = populations.drop_duplicates(column).set_index(column)
        colors |= {name: (row.color, row.color_bright) for name, row in first.iterrows()}
    return colors | {name.replace("_", " "): pair for name, pair in colors.items()}


def color_of(name, network):
    """Color of a cell type (19 or 17 names) in one network."""
    color, pale = type_colors()[name]
    return pale if network == UNTRAINED else color


def network_color(network):
    """Color of a network where cell types are mixed."""
    return BEFORE if network == UNTRAINED else AFTER


def write_caption(figure, text):
    """Write a caption below a figure."""
    figure.supxlabel(text, fontsize=8)
