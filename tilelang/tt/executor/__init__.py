"""Kernels executed: core by core, each with its own runtime arguments, on tensors that lie as the plan says."""
