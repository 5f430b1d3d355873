"""containerd's store: its overlayfs snapshotter, and Docker's image store from version 29 on."""

from netfs.overlay.stores.containerd.store import is_folder, is_root, read

__all__ = ["is_folder", "is_root", "read"]
