"""Where the server writes what went wrong in it, and what it loads."""

import logging

log = logging.getLogger("mtlzoo.serving")
