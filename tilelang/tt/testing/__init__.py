"""What helps to test kernels and compilers: suites, stages, comparisons of two environments, and checks of passes."""
