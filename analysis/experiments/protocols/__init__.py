"""The protocols by their names: a new one is a dataclass with one method, ``declare``, and one row here."""

from twincortex.analysis.experiments.protocols.contrast import Contrast
from twincortex.analysis.experiments.protocols.gratings import Gratings
from twincortex.analysis.experiments.protocols.images import Images
from twincortex.analysis.experiments.protocols.perturb_weights import PerturbWeights
from twincortex.analysis.experiments.protocols.silence import Silence

PROTOCOLS = {
    "gratings": Gratings,
    "contrast": Contrast,
    "images": Images,
    "silence": Silence,
    "perturb-weights": PerturbWeights,
}
