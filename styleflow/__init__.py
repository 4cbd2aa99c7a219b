"""Models and maths that turn frames of one face into evidence that it is synthesised.

No sockets, threads or clocks live here; only `checkpoint`, `data` and `training` touch the disk.
"""
