"""containerd's store: its overlayfs snapshotter, and Docker's image store from version 29 on.

``place`` recognises it; ``store`` reads it, and is imported for a store that is there.
"""
