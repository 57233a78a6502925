"""What the tests share: kernels to try the passes on, and the truth about each."""
