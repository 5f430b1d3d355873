"""Where nodes are read from: source URIs, and the file format of snapshots.

One file per source (``local``, ``netns``, ``pid``, ``lab``, ``file``); ``registry`` names them, ``load`` reads several
at once. Nothing is imported here: who only wants to know where a node is reads no snapshot.
"""
