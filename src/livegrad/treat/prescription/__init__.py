"""How a prescription is come by: what may answer a finding, what cannot, and which of the rest is best."""
