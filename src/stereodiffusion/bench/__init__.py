"""The benchmark: protocols, runs that survive, tables and figures."""
