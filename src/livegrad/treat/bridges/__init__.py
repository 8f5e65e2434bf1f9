"""Ways around layers and blocks."""
