"""How the answer of ``netfs cgroups`` is drawn."""
