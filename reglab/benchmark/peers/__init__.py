"""The same training run in several libraries, each module a process of its own: see `protocol`."""
