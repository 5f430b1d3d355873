"""Where nodes are read from: source URIs, and the file format of snapshots.

One file per source (``local``, ``netns``, ``pid``, ``lab``, ``file``); ``registry`` names them, ``load``
reads several at once.
"""

from netfs.sources.load import default_uri, load
from netfs.sources.registry import open_uri

__all__ = ["default_uri", "load", "open_uri"]
