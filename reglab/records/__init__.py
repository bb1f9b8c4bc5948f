"""What the folders of runs, comparisons and sweeps tell, read without TensorFlow and believed no further than checked.

A missing or damaged file is a line among the `problems` of a `Record`, never an error.
"""
