"""Worked solutions as graphs of quantities: read, linked and compared with a reference solution."""
