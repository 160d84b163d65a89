"""The method in float64 NumPy, which the C kernel follows step by step."""
