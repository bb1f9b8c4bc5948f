"""What users give: read within bounds, put into messages on one line, and refused with an exit code."""
