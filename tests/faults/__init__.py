"""`python -m tests.faults`: the attacker. It breaks runs in every way it knows and holds reglab to its word.

The word: each damage is recovered from, or named in one line with the file and what to do; never silent, never step 0
unasked, never a traceback; and reglab touches no file that it did not write. Black box: only commands are run, and only
what they leave is read. A section is a file here; `__main__` runs them and prints the table.
"""
