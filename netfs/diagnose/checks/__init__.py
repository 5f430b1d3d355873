"""The checks: small functions from evidence to findings, listed in the tables of ``netfs.diagnose.examination``."""
