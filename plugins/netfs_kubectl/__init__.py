"""``kubectl netfs``: the ``netfs`` command as a kubectl plugin."""
