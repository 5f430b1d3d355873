"""The records of netfs: frozen dataclasses of the standard library, without I/O."""
