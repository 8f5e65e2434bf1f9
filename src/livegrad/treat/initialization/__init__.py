"""How each variant of the remedy `init` draws weights: by gain, by measuring, by the branches it finds."""
