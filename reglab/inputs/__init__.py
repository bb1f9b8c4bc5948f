"""User input: read within limits, quoted in messages on one line, and refused with an exit code."""
