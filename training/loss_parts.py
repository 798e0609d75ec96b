"""What a row of metrics says of each objective."""

from twincortex.training.objectives import OBJECTIVES, WEIGHTS
from twincortex.training.targets import CONDITIONS

GROUPS = (*CONDITIONS, WEIGHTS)


def losses_by_objective(row):
    """Take the total loss apart.

    Parameters
    ----------
    row : dict of str -> number
        A row of metrics.

    Returns
    -------
    dict of str -> dict of str -> number
        For every objective in the row, in the order of their table: the group (``evoked``, ``spontaneous``,
        ``weights``) and its share. All shares add up to ``row["loss"]``.
    """
    found = {}
    for name in OBJECTIVES:
        found[name] = {group: row[f"{group}/{name}"] for group in GROUPS if f"{group}/{name}" in row}
    return {name: shares for name, shares in found.items() if shares}
