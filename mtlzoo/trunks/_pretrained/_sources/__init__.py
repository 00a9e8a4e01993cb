"""Where bases come from: one function a source, from a `Request` to a `Base`."""
