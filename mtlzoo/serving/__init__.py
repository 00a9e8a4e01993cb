"""Serving: run an export behind the protocols of TensorFlow Serving, and call it."""

__all__: list[str] = []
