"""Overlay file systems: where a file of a container comes from, and who owns a layer's directory.

Nothing is mounted, nothing is written. ``stores`` reads what an engine wrote about its layers, ``disk`` the layers
themselves, ``merge`` says what the kernel makes of them, ``changes`` what each adds, changes and hides.
"""
