"""What servers are asked in a run, one module for each family. Each has `FAMILY`: its name, its run, and the lines it must hold."""
