"""Trained columns: built as ever, then given the weights that training found, from the package or from a file."""

from importlib import resources

from twincortex.models.column import build_column
from twincortex.models.errors import InputError
from twincortex.models.packed_weights import read_packed, with_packed_weights


def shipped_columns():
    """Files of packed weights that come with the package.

    Returns
    -------
    dict of (size, seed) -> Path
    """
    folder = resources.files("twincortex.models") / "data" / "trained"
    paths = sorted(folder.glob("*_seed*.h5")) if folder.is_dir() else []
    names = {path: path.stem.split("_seed") for path in paths}
    return {(size, int(seed)): path for path, (size, seed) in names.items()}


def read_trained_weights(size, seed, path=None, **wanted):
    """Read the trained weights of a column that is to be built.

    Parameters
    ----------
    size : str
        A named size, or ``"custom"``.
    seed : int
    path : str or Path, optional
        A file of `twincortex pack`. Default: what comes with the package.
    **wanted
        What else the provenance of the column will say, such as ``weight_rule="none"``.

    Returns
    -------
    PackedWeights

    Raises
    ------
    InputError
        None come with the package for this size and seed; the file is missing or damaged; another column was trained.
    """
    columns = shipped_columns()
    if path is None and (size, seed) not in columns:
        known = ", ".join(f"{size} with seed {seed}" for size, seed in columns) or "none"
        raise InputError(
            f"no trained weights of size {size}, seed {seed} come with twincortex. Shipped: {known}. Choose one of "
            "them; or train this column with training/train.py, and name what `twincortex pack` makes of it."
        )
    path = path or columns[size, seed]
    packed = read_packed(path)
    for name, value in {"size": size, "seed": seed, **wanted}.items():
        trained = packed.facts["circuit"].get(name)
        if value != trained:
            raise InputError(f"{name} {value!r}: {path} holds weights of a column with {name} {trained!r}. Build that.")
    return packed


def read_trained_circuit(size="small", seed=1, path=None, progress=None):
    """Build a column and give it trained weights.

    Parameters
    ----------
    size : str
    seed : int
    path : str or Path, optional
        A file of `twincortex pack`. Default: what comes with the package.
    progress : callable, optional
        As for `column.build_column`.

    Returns
    -------
    Circuit
        ``provenance["trained"]`` says how it was trained.

    Raises
    ------
    InputError
        See `read_trained_weights`.
    """
    packed = read_trained_weights(size, seed, path)
    return with_packed_weights(build_column(size, seed, progress=progress), packed)
