"""Finding the operation that made the first NaN or infinity, after one has been seen."""
