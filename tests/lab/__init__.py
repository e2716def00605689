"""The lab: everything that tests and the demo need, made from packages alone."""
