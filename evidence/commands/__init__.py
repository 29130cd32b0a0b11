"""The commands, a module for each part of the work; `evidence.cli` lists them."""
