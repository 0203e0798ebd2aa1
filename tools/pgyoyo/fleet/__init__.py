"""One change over many databases or schemas: who is in a fleet, and a run over all its members."""
