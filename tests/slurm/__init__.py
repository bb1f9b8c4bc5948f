"""A real Slurm on this machine, for the tests and by hand: `python -m tests.slurm COMMAND…`."""
