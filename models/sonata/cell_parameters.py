"""The parameters of one cell model file, taken word by word, and the cell model that they make in our words."""

import reprlib
from dataclasses import dataclass, field

import numpy as np

from twincortex.models.errors import FileError, near_name_hint

SCALARS = ("V_th", "E_L", "V_reset", "g", "C_m", "t_ref")
AFTER_SPIKE_WORDS = {"asc_decay": "asc_decay", "asc_amp": "asc_amps", "asc_r": "asc_r"}
RECEPTOR_WORDS = {"tau_fast": "tau_syn_fast", "tau_slow": "tau_syn_slow", "amp_slow": "amp_slow"}
# Parameters that NEST's model lacks stand in an object of this name, where they cannot collide with NEST's words.
OURS = "twincortex"

# Smallest value that has a meaning: a capacitance or a time constant of 0 divides by zero.
_ABOVE = {"C_m": 0.0, "tau_m": 0.0, "tau_fast": 0.0, "tau_slow": 0.0}
_AT_LEAST = {"g": 0.0, "t_ref": 0.0}
# Traces for plasticity, which static synapses do not read.
_NO_EFFECT = ("tau_minus", "tau_minus_triplet", "tau_Ca", "beta_Ca")


@dataclass
class CellModel:
    """One cell model in our words.

    Attributes
    ----------
    parameters : dict of str -> float
        As in NodeTypes.
    receptors : dict of str -> (R,) float64 array
        As in NodeTypes; receptor_type k of NEST is entry k - 1.
    by_sign : bool
        The sign of a weight chooses the receptor: entry 0 if positive, else 1.
    notes : list of str
        What was ignored, taken from NEST's defaults or differs from NEST.
    """

    parameters: dict
    receptors: dict
    by_sign: bool = False
    notes: list = field(default_factory=list)

    @property
    def n_receptors(self):
        """Number of receptors."""
        return len(next(iter(self.receptors.values()), ()))


@dataclass(frozen=True)
class Receptors:
    """Which receptor of ours a receptor_type of NEST is.

    Attributes
    ----------
    n_receptors : int
    of_type : (M, K + 1, 2) int32 array
        Receptor per cell model, receptor_type (0 to K) and sign of the weight (0 positive, 1 not); -1 if there is none.
    is_plain : bool
        Receptor_type k is receptor k - 1 in every cell model.
    """

    n_receptors: int
    of_type: np.ndarray
    is_plain: bool


class Parameters:
    """The parameters of one cell model file, taken one by one, so that what nobody asked for can be named.

    Parameters
    ----------
    path : Path
    content : dict
    """

    def __init__(self, path, content):
        self.path, self.content, self._left = path, content, set(content)

    def __contains__(self, word):
        return word in self.content

    def take(self, word, default=None):
        """Value of a word as it stands in the file."""
        self._left.discard(word)
        return self.content.get(word, default)

    def numbers(self, name, word=None):
        """Finite numbers within the range of the parameter ``name``, as a float64 array of any shape."""
        word = word or name
        value = self.take(word)
        if word not in self.content or not _is_numeric(value):
            raise self.error(word, f"no number for {word}; {near_name_hint(word, self.content)}.")
        try:
            numbers = np.asarray(np.nan if value is None else value, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.error(word, f"no number for {word}: {error}.") from error
        self.check_range(name, word, numbers)
        return numbers

    def check_range(self, name, word, numbers):
        """Refuse numbers that are not finite or have no meaning."""
        if not np.isfinite(numbers).all():
            raise self.error(word, f"{word} is {numbers}; expected finite numbers. Correct the file.")
        if np.any(numbers <= _ABOVE.get(name, -np.inf)) or np.any(numbers < _AT_LEAST.get(name, -np.inf)):
            least = "more than 0" if name in _ABOVE else "0 or more"
            raise self.error(word, f"{word} is {numbers}; expected {least}. Correct the file.")

    def number(self, name, word=None):
        """One number."""
        numbers = self.numbers(name, word)
        if numbers.ndim:
            raise self.error(word or name, f"{word or name} is a list of {numbers.size}; expected one number.")
        return float(numbers)

    def list_of_numbers(self, name, word=None):
        """A list of numbers; a single number is a list of one."""
        numbers = np.atleast_1d(self.numbers(name, word))
        if numbers.ndim > 1:
            raise self.error(word or name, f"{word or name} has shape {numbers.shape}; expected a list of numbers.")
        return numbers

    def flag(self, word, default):
        """True or false."""
        value = self.take(word, default)
        if value is not True and value is not False:
            raise self.error(word, f"{word} is {reprlib.repr(value)}; expected true or false.")
        return value

    def refuse_rest(self, notes):
        """Note what has no effect among the words that nobody took, and refuse the others."""
        for word in sorted(self._left):
            if word not in _NO_EFFECT and not isinstance(self.content[word], str):
                raise self.error(
                    word,
                    f"{word} is {reprlib.repr(self.content[word])}, which is not understood and may change the "
                    "dynamics. Remove it if it has no effect.",
                )
            notes.append(f"{word}: no effect")

    def note_rest(self, notes):
        """Note the words that nobody took, none of which has an effect."""
        notes.extend(f"{word}: no effect" for word in sorted(self._left))
        self._left.clear()

    def error(self, word, what):
        """The error that names the file and the word."""
        return FileError(f"{self.path}: {what}", self.path, word)


def _is_numeric(value):
    if isinstance(value, list):
        return all(map(_is_numeric, value))
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
