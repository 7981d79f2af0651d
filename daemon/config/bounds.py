"""Every default and range of the site file, once: read by its tables, by the doors and by the pages. Pure."""

from __future__ import annotations

DEBOUNCE = 0.03
LONGEST_DEBOUNCE = 0.09
"""Seconds; a longer period could miss a pulse of 100 ms."""
