"""Docker's own store: the ``overlay2`` graph driver, or what a folder of it holds.

``place`` recognises it; ``store`` reads it, and is imported for a store that is there.
"""
