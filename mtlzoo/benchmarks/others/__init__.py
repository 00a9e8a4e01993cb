"""The same things measured with other libraries, where they are installed."""
