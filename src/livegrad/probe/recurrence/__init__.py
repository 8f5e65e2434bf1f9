"""Recurrent layers of torch's own, taken apart: each layer and direction run again, step by step."""
