"""One run: the loop around the compiled program, and the folder that it leaves."""
