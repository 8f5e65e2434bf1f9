"""Learning rates: what is known of the steps, and changing rates for good, at first or where they rise."""
