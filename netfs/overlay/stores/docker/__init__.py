"""Docker's own store: the ``overlay2`` graph driver, or what a folder of it holds."""

from netfs.overlay.stores.docker.store import is_folder, is_root, read

__all__ = ["is_folder", "is_root", "read"]
