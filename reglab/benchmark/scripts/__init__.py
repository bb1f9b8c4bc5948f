"""The job of `python -m reglab.train` as users of other libraries would write it, in scripts without reglab."""
