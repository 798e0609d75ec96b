"""What a column is trained towards: the cost and the options of every objective, one dataclass each.

The fields of `Losses` are named as the table in objectives.py; those of a dataclass, but for its cost, are keyword
arguments of that objective.
"""

from dataclasses import dataclass, field

from twincortex.models.errors import InputError, near_name_hint

VOLTAGE_MODES = ("threshold", "range")


@dataclass
class RateLoss:
    """Rate distribution of each cell type against the recorded one.

    Attributes
    ----------
    cost : float
    kappa_Hz : float [Hz]
        Differences up to it count squared, larger ones linearly.
    """

    cost: float = 10_000.0
    kappa_Hz: float = 2.0


@dataclass
class SelectivityLoss:
    """Crowd OSI and DSI of each cell type against the recorded means.

    Attributes
    ----------
    cost : float
    min_average_Hz : float [Hz]
        Rates are divided by the running average of each neuron, at least this.
    """

    cost: float = 20.0
    min_average_Hz: float = 0.5


@dataclass
class SynchronyLoss:
    """Fano factors of random excitatory pools against the recorded curve.

    Attributes
    ----------
    cost : float
    n_pools : int
    settle_ms : float [ms]
        Left out at the start of a rollout.
    """

    cost: float = 1.5
    n_pools: int = 500
    settle_ms: float = 200.0


@dataclass
class VoltageLoss:
    """Membrane potentials between rest and threshold.

    Attributes
    ----------
    cost : float
    mode : str
        ``threshold``: squared distance from the threshold; ``range``: from the range between rest and threshold.
    """

    cost: float = 1.0
    mode: str = "threshold"

    def __post_init__(self):
        """Refuse unknown modes."""
        if self.mode not in VOLTAGE_MODES:
            raise InputError(f"losses.voltage.mode {self.mode!r}: {near_name_hint(self.mode, VOLTAGE_MODES)}.")


@dataclass
class WeightDistributionLoss:
    """Weights of each pair of cell types in their initial distribution.

    Attributes
    ----------
    cost : float
        Counted once per rollout of an update, as in the reference: twice where both conditions share an update.
    """

    cost: float = 10.0


@dataclass
class Losses:
    """What the column is trained towards; an objective of cost 0 is not computed.

    Attributes
    ----------
    rate : RateLoss
    selectivity : SelectivityLoss
    synchrony : SynchronyLoss
    voltage : VoltageLoss
    weight_distribution : WeightDistributionLoss
    core_radius_um : float [um]
        Neurons within it are scored fully.
    annulus_weight : float
        Weight of the rate and tuning losses of the others.

    Source
    ------
    Costs of the paper-aligned run of Ito et al. (2025).
    """

    rate: RateLoss = field(default_factory=RateLoss)
    selectivity: SelectivityLoss = field(default_factory=SelectivityLoss)
    synchrony: SynchronyLoss = field(default_factory=SynchronyLoss)
    voltage: VoltageLoss = field(default_factory=VoltageLoss)
    weight_distribution: WeightDistributionLoss = field(default_factory=WeightDistributionLoss)
    core_radius_um: float = 200.0
    annulus_weight: float = 0.1
