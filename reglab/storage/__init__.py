"""The file system: files that are whole or absent, who may write them, and what is read back."""
