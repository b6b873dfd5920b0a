"""What carries messages out of the process, a module per way. The only part of SNS that does I/O."""
