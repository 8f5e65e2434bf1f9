"""What theory says, in numpy alone: Gaussian integrals, the activation catalogue, robust trends."""
