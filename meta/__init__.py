"""Statistics of meta-analysis: numbers in, pooled effects and pictures out.

The package knows nothing about papers, files or networks.
"""
