"""make demo: the whole way, from a directory tree to Deep Archive and back, with every claim checked."""
