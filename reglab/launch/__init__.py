"""`python -m reglab.launch --workers=2 -- <flags of reglab.train>`: a cluster on this machine."""
