"""One change over many databases or schemas: the members of a fleet, and a run over all its members."""
