"""Exercise sheets: probes and practice values."""
