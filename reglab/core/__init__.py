"""The functional core: pure functions that make up one step of one lane on one replica."""
