"""A local web page that shows a run: the column, its spikes, the tuning and the wiring of its neurons."""
