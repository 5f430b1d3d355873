"""The page of ``netfs inspect``."""
