"""containers-storage: the store of Podman, Buildah and CRI-O."""

from netfs.overlay.stores.containers_storage.store import is_folder, read

__all__ = ["is_folder", "read"]
