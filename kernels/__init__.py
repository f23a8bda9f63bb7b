"""Triton kernels: tensors in, tensors out. Installed as `apnet_fast.kernels`."""
