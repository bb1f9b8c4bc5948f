"""`python -m reglab.certify`: checks that replicas compute what one device does, and that runs repeat to the bit."""
