"""Bases: networks from anywhere, laid anew as trunks with the weights that they have.

`_sources` loads them, one kind a module; `_network` cuts them into stages; `_copies`
makes the layers.
"""
