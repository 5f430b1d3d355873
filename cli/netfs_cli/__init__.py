"""The ``netfs`` command: it parses, calls the library, and shows what it answered."""
