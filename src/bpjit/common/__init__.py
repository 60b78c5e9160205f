"""Arguments, files, the terminal, tables: what all rooms use; these import nothing of bpjit but one another."""
