"""The file system: files written whole or not at all, who may write them, and how they are read back."""
