"""What a model is given, brought to mean 0 and size 1."""
