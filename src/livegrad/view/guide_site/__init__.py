"""The field guide as a web site: the same pages as in the terminal, each with a figure that theory draws."""
