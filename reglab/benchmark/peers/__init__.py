"""The same training run in several libraries, each module a process of its own, which speaks as `protocol` says."""
