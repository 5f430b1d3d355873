"""containers-storage: the store of Podman, Buildah and CRI-O.

``place`` recognises it; ``store`` reads it, and is imported for a store that is there.
"""
