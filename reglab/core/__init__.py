"""The functional core: what one step of one lane on one replica is made of, as pure functions."""
