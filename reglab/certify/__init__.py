"""`python -m reglab.certify`: does this machine compute what one device computes, and the same bits again?"""
