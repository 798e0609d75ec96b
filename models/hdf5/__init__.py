"""HDF5 files: those that may be damaged or hostile are read, those of ours are written with checksums."""
