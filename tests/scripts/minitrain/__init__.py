"""A package that trains: `python -m minitrain.train --config small`."""
