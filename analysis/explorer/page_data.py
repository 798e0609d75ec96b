"""Every address of the page that gives data: a path and its query become what is sent as JSON."""

from functools import cache

from twincortex.analysis.explorer.column_view import neurons, overview
from twincortex.analysis.explorer.neuron_view import neuron
from twincortex.analysis.explorer.raster_view import raster
from twincortex.analysis.explorer.wiring_view import MEASURES, Wiring
from twincortex.models.errors import InputError


class PageData:
    """Data behind the page of one subject.

    Parameters
    ----------
    subject : Subject
    """

    def __init__(self, subject):
        self.subject, self.wiring = subject, Wiring(subject)
        self.addresses = {
            "/overview": (self._overview, {}),
            "/neurons": (cache(lambda: neurons(subject)), {}),
            "/neuron": (lambda id: neuron(subject, id), {"id": int}),
            "/raster": (lambda network: raster(subject, network), {"network": str}),
            "/wiring": (self.wiring.matrix, {"measure": str, "stage": str}),
            "/pair": (self.wiring.pair, {"pre": str, "post": str, "against": str}),
        }

    def answer(self, path, query):
        """Find what an address gives.

        Parameters
        ----------
        path : str
            One of ``addresses``.
        query : dict of str -> str

        Returns
        -------
        dict
            Ready for JSON.

        Raises
        ------
        InputError
            The query does not fit the address, or asks for what there is not.
        """
        function, kinds = self.addresses[path]
        if set(query) != set(kinds):
            raise InputError(f"{path}: expected {', '.join(kinds) or 'no query'}, got {', '.join(query) or 'none'}.")
        try:
            values = {name: kinds[name](text) for name, text in query.items()}
        except ValueError as error:
            raise InputError(f"{path}: {error}. Expected a whole number.") from error
        return function(**values)

    def _overview(self):
        measures = [
            {"name": name, "label": MEASURES[name], "stages": stages} for name, stages in self.wiring.measures.items()
        ]
        return overview(self.subject) | {"measures": measures}
